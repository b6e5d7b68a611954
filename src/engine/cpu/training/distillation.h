// The distance to a teacher (engine.h, Distillation) and its gradient.
#pragma once

#include <span>

#include "src/engine/cpu/thread_pool.h"
#include "src/engine/cpu/training/head.h"
#include "src/engine/engine.h"

namespace lfm::cpu {

/// Of maps [n][area][64]: returns the sum over images, and writes weight times its gradient to grad_maps, laid out
/// alike.
double map_distance(ThreadPool& threads, int n, int area, const float* maps, const Distillation& teacher,
                    float* grad_maps);

/// Of a branch's logits: returns the sum over images, and adds weight times its gradient to the branch's.
double logit_distance(Branch& branch, const Distillation& teacher);

}  // namespace lfm::cpu
