// The words that stand for an enum's values wherever people or files name them: on the command line, in weight files,
// checkpoints and reports. Each enum has one list of them, words(Enum); help, completions, man page and fuzzing are
// held to it.
#pragma once

#include <array>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

#include "lfm/model.h"
#include "lfm/precision.h"

namespace lfm {

template <typename Enum>
struct Word {
  std::string_view word;
  Enum value;
  std::string_view meaning = {};  ///< for help texts, where the word alone does not tell
};

constexpr std::array<Word<Pooling>, 3> words(Pooling) {
  return {{{"topk", Pooling::topk}, {"average", Pooling::average}, {"avg", Pooling::average}}};
}

constexpr std::array<Word<FrontEnd>, 4> words(FrontEnd) {
  return {{{"npr", FrontEnd::npr, "absolute differences to the top-left pixel of each 2x2 cell"},
           {"npr_signed", FrontEnd::npr_signed, "differences to the top-left pixel of each 2x2 cell, with their signs"},
           {"haar_hh", FrontEnd::haar_hh, "the diagonal band of a Haar wavelet, enlarged to the picture's size"},
           {"none", FrontEnd::none, "the pixels themselves"}}};
}

constexpr std::array<Word<Trunk>, 2> words(Trunk) {
  return {{{"snet", Trunk::snet, "four blocks of 2x2 convolutions and a 1x1"},
           {"resnet", Trunk::resnet, "ResNet-50 up to its second stage"}}};
}

constexpr std::array<Word<Head>, 2> words(Head) {
  return {{{"linear", Head::linear, "one output"},
           {"softmax", Head::softmax, "two outputs, of which the second stands for fake"}}};
}

constexpr std::array<Word<View>, 4> words(View) {
  return {{{"resize", View::resize, "to 256x256"},
           {"native", View::native, "every pixel"},
           {"center", View::center, "the central 256x256 pixels"},
           {"tiles", View::tiles, "256x256 windows that cover the picture; the mean of their logits"}}};
}

constexpr std::array<Word<Precision>, 5> words(Precision) {
  return {{{"auto", Precision::automatic},
           {"fp32", Precision::fp32},
           {"tf32", Precision::tf32},
           {"fp16", Precision::fp16},
           {"bf16", Precision::bf16}}};
}

constexpr std::array<Word<Combination>, 3> words(Combination) {
  return {{{"first-fake", Combination::first_fake,
            "the first that calls it fake by its own threshold decides, else the last"},
           {"mean", Combination::mean, "the mean of how far each is above its own threshold, in log-odds"},
           {"max", Combination::max, "the one furthest above its own threshold decides"}}};
}

// A list has a row for every value. Where several rows have the same value, the first is written and all are read.

/// Throws std::logic_error where the list lacks the value.
template <typename Enum>
constexpr std::string_view word_of(Enum value) {
  for (const Word<Enum>& row : words(Enum{})) {
    if (row.value == value) return row.word;
  }
  throw std::logic_error("a value without a word");
}

/// What the value means, for people. Throws std::logic_error where the list lacks it.
template <typename Enum>
constexpr std::string_view meaning_of(Enum value) {
  for (const Word<Enum>& row : words(Enum{})) {
    if (row.value == value) return row.meaning;
  }
  throw std::logic_error("a value without a word");
}

template <typename Enum>
constexpr std::optional<Enum> value_of(std::string_view word) {
  for (const Word<Enum>& row : words(Enum{})) {
    if (row.word == word) return row.value;
  }
  return std::nullopt;
}

/// "resize, native, center, tiles"
template <typename Enum>
std::string list_of_words(std::string_view separator = ", ") {
  std::string list;
  for (const Word<Enum>& row : words(Enum{})) list.append(list.empty() ? "" : separator).append(row.word);
  return list;
}

}  // namespace lfm
