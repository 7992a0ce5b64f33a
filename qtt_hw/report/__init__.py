"""A network, its plan and what was built of it as one HTML file: sections, which anybody makes, and the page of them."""
