#include "src/eval/paper.h"

#include <algorithm>
#include <array>

namespace lfm {
namespace {

constexpr std::string_view kGanGen = "GANGen-Detection", kSteps = "Diffusion1kStep";

// The paper's names of the Diffusion1kStep generators are DDPM, IDDPM, ADM, Midjourney and DALLE; here stand the set's
// folders.
constexpr std::array kFigures = {
    PaperFigure{"LFM", "", "", 95.9, 98.6},
    PaperFigure{"SAFE", "", "", 93.8, 98.2},
    PaperFigure{"NPR", "", "", 92.2, 95.8},
    PaperFigure{"FatFormer", "", "", 87.8, 93.7},
    PaperFigure{"LGrad", "", "", 80.5, 88.5},
    PaperFigure{"Ojha", "", "", 79.8, 91.4},
    PaperFigure{"LFM", "ForenSynths", "", 95.5, 98.3},
    PaperFigure{"LFM", kGanGen, "", 98.2, 99.5},
    PaperFigure{"LFM", "DiffusionForensics", "", 98.7, 100.0},
    PaperFigure{"LFM", "UniversalFakeDetect", "", 95.4, 98.4},
    PaperFigure{"LFM", kSteps, "", 88.9, 95.8},
    PaperFigure{"LFM", kSteps, "ddpm", 89.4, 92.3},
    PaperFigure{"LFM", kSteps, "improved-diffusion", 87.2, 95.6},
    PaperFigure{"LFM", kSteps, "guided-diffusion", 89.6, 96.8},
    PaperFigure{"LFM", kSteps, "midjourney", 87.5, 96.1},
    PaperFigure{"LFM", kSteps, "DALLE", 90.8, 98.1},
    PaperFigure{"LFM", kGanGen, "AttGAN", 100, 100},
    PaperFigure{"LFM", kGanGen, "BEGAN", 99.9, 100},
    PaperFigure{"LFM", kGanGen, "CramerGAN", 98.8, 99.9},
    PaperFigure{"LFM", kGanGen, "InfoMaxGAN", 98.5, 99.9},
    PaperFigure{"LFM", kGanGen, "MMDGAN", 99.4, 100},
    PaperFigure{"LFM", kGanGen, "RelGAN", 100, 100},
    PaperFigure{"LFM", kGanGen, "S3GAN", 88.4, 95.5},
    PaperFigure{"LFM", kGanGen, "SNGAN", 99.2, 100},
    PaperFigure{"LFM", kGanGen, "STGAN", 99.9, 100},
};

bool same_name(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
  return std::ranges::equal(a, b, {}, lower, lower);
}

}  // namespace

std::span<const PaperFigure> paper_figures() { return kFigures; }

const PaperFigure* find_paper_figure(std::string_view method, std::string_view test_set, std::string_view subset) {
  const auto found = std::ranges::find_if(kFigures, [&](const PaperFigure& f) {
    return f.method == method && same_name(f.test_set, test_set) && same_name(f.subset, subset);
  });
  return found == kFigures.end() ? nullptr : &*found;
}

}  // namespace lfm
