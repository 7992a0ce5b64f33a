import torch
from torch import nn

from qtt_hw.training.average import Average


def test_follows_weights_and_statistics_and_gives_them_back() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv3d(1, 2, 1), nn.BatchNorm3d(2))
    average = Average(model, 0.5)
    expected = model[0].weight.detach().clone()
    for update in range(1, 5):
        with torch.no_grad():
            model[0].weight.add_(1)
        model(torch.randn(4, 1, 2, 2, 2))
        average.update(model)
        expected = expected + (1 - min(0.5, (1 + update) / (10 + update))) * (model[0].weight.detach() - expected)
    own = {name: value.clone() for name, value in model.state_dict().items()}
    with average.applied(model):
        assert torch.allclose(model[0].weight, expected, atol=1e-6)
        assert not torch.equal(model[1].running_mean, own["1.running_mean"])
        assert model[1].num_batches_tracked == 4
    assert all(torch.equal(value, own[name]) for name, value in model.state_dict().items())


def test_no_decay_keeps_nothing() -> None:
    model = nn.Linear(1, 1)
    average = Average(model, 0.0)
    average.update(model)
    assert average.state == {} and average.updates == 0
    with average.applied(model):
        pass
