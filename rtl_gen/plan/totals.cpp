// The inner loops of rtl_gen/plan/totals.py: totals on a grid of DSPs and block RAMs, the least of the rest in each place.
#include <algorithm>
#include <cstdint>
#include <limits>
#include <vector>

extern "C" {

// Every point with every choice added, where that stays within the grid and at most `most`: the least in each place.
void extend(const int64_t* dsps, const int64_t* brams, const double* rest, int64_t points, const int64_t* added_dsps,
            const int64_t* added_brams, const double* added_rest, int64_t choices, int64_t rows, int64_t columns,
            double most, double* least) {
    for (int64_t choice = 0; choice < choices; ++choice) {
        for (int64_t point = 0; point < points; ++point) {
            const int64_t row = dsps[point] + added_dsps[choice], column = brams[point] + added_brams[choice];
            const double total = rest[point] + added_rest[choice];
            if (row >= rows || column >= columns || total > most) continue;
            double& place = least[row * columns + column];
            place = std::min(place, total);
        }
    }
}

// The places in which nothing with as few DSPs and block RAMs has as little of the rest, row by row; how many.
int64_t unbeaten(const double* least, int64_t rows, int64_t columns, int64_t* dsps, int64_t* brams, double* rest) {
    std::vector<double> above(columns, std::numeric_limits<double>::infinity());  // of the rows before, up to a column
    int64_t count = 0;
    for (int64_t row = 0; row < rows; ++row) {
        double before = std::numeric_limits<double>::infinity();  // in this row
        for (int64_t column = 0; column < columns; ++column) {
            const double value = least[row * columns + column];
            if (value < std::min(above[column], before)) {
                dsps[count] = row;
                brams[count] = column;
                rest[count++] = value;
            }
            before = std::min(before, value);
            above[column] = std::min(above[column], before);
        }
    }
    return count;
}

}  // extern "C"
