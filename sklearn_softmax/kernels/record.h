// The progressive loss of a stream: of all rows, and of recent ones.
#pragma once

#include "kernels.h"

namespace {

// A row counts about 1/e as much when rows of this total weight have come after it.
constexpr double recent_weight = 1000;

inline void add_loss(softmax::Record& record, double weight, double loss) {
    record.weight += weight;
    record.loss += weight * loss;
    const double remaining = recent_weight / (recent_weight + weight);
    record.recent_weight = remaining * record.recent_weight + weight;
    record.recent_loss = remaining * record.recent_loss + weight * loss;
}

}  // namespace
