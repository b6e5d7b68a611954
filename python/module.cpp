// lfm._lfm: the library's detector for Python. src/lfm/__init__.py is what users see; here are the conversions, and the
// work without the interpreter's lock.
#include <lfm/detector.h>
#include <lfm/words.h>
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/filesystem.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace nb = nanobind;

namespace lfm {
namespace {

using Pixels = nb::ndarray<const std::uint8_t, nb::ndim<3>, nb::c_contig, nb::device::cpu>;
using PixelsOfWindows = nb::ndarray<const std::uint8_t, nb::ndim<4>, nb::c_contig>;  // on whatever device
using Array1 = nb::ndarray<nb::numpy, const float, nb::ndim<1>>;
using Array2 = nb::ndarray<nb::numpy, const float, nb::ndim<2>>;

/// bytes: a file's; an array of [height][width][3] uint8: pixels; anything else: a path.
Input to_input(nb::handle object) {
  Input input;
  if (nb::isinstance<nb::bytes>(object)) {
    const auto bytes = nb::borrow<nb::bytes>(object);
    const auto* begin = reinterpret_cast<const std::byte*>(bytes.c_str());
    input.bytes = std::make_shared<const std::vector<std::byte>>(begin, begin + bytes.size());
    return input;
  }
  if (nb::ndarray_check(object)) {
    Pixels pixels;
    if (!nb::try_cast(object, pixels, false) || pixels.shape(2) != 3) {  // false: no conversion of other numbers
      throw nb::type_error("pixels are a contiguous array of uint8, height x width x 3, in the computer's memory");
    }
    auto image = std::make_shared<Image>();
    image->height = static_cast<int>(pixels.shape(0));
    image->width = static_cast<int>(pixels.shape(1));
    image->rgb.assign(pixels.data(), pixels.data() + pixels.size());
    input.image = std::move(image);
    return input;
  }
  input.path = nb::cast<std::filesystem::path>(object);
  return input;
}

class Inputs : public InputSource {
 public:
  explicit Inputs(std::vector<Input> inputs) : inputs_(std::move(inputs)) {}
  std::optional<Input> next() override {
    if (next_ == inputs_.size()) return std::nullopt;
    return std::move(inputs_[next_++]);
  }

 private:
  std::vector<Input> inputs_;
  std::size_t next_ = 0;
};

/// A Detector for any number of Python's threads, one of them at a time.
class Scorer {
 public:
  Scorer(const std::string& model, const DetectorOptions& options)
      : detector_(load_models(find_models(model)), options) {}

  std::vector<Detection> score(const nb::list& objects) {
    std::vector<Input> inputs;
    for (const nb::handle object : objects) inputs.push_back(to_input(object));
    const nb::gil_scoped_release others_run;
    const std::lock_guard one_at_a_time(busy_);
    std::vector<Detection> detections;
    detections.reserve(inputs.size());
    Inputs source(std::move(inputs));
    detector_.detect_stream(source, [&](Detection&& detection) { detections.push_back(std::move(detection)); });
    return detections;
  }

  /// Of windows where they lie, in the computer's memory or a GPU's.
  nb::object logits(nb::handle object) {
    PixelsOfWindows pixels;
    if (!nb::try_cast(object, pixels, false) || pixels.shape(3) != 3) {
      throw nb::type_error("windows are a contiguous array of uint8, n x height x width x 3");
    }
    const int kind = pixels.device_type();
    const bool on_gpu = kind == nb::device::cuda::value || kind == nb::device::cuda_managed::value;
    if (!on_gpu && kind != nb::device::cpu::value && kind != nb::device::cuda_host::value) {
      throw nb::type_error("windows lie in the computer's memory or in that of a GPU that CUDA knows");
    }
    const Windows windows{pixels.data(), static_cast<int>(pixels.shape(0)), static_cast<int>(pixels.shape(1)),
                          static_cast<int>(pixels.shape(2)), on_gpu};
    auto* values = new std::vector<float>;
    nb::capsule owner(values, [](void* p) noexcept { delete static_cast<std::vector<float>*>(p); });
    {
      const nb::gil_scoped_release others_run;
      const std::lock_guard one_at_a_time(busy_);
      *values = detector_.logits(windows);
    }
    return nb::cast(Array1(values->data(), {values->size()}, owner));
  }

  const Detector& detector() const { return detector_; }

 private:
  Detector detector_;
  std::mutex busy_;
};

const char* label_of(const Detection& d) {
  return !d.scored() ? nullptr : d.unsure ? "unsure" : d.fake ? "fake" : "real";
}

const char* reason_of(const Detection& d) {
  switch (d.doubt) {
    case Doubt::no_texture: return "no-texture";
    case Doubt::flips: return "flips";
    case Doubt::close: return "close";
    case Doubt::none: break;
  }
  return nullptr;
}

/// File names, and messages that hold them, may be any bytes: as os.fsdecode() does.
nb::object text(const std::string& bytes) {
  return nb::steal(PyUnicode_DecodeUTF8(bytes.data(), static_cast<Py_ssize_t>(bytes.size()), "surrogateescape"));
}

template <typename Value>
std::optional<Value> if_scored(const Detection& d, Value value) {
  return d.scored() ? std::optional(value) : std::nullopt;
}

DetectorOptions options_from(const std::string& device, const std::string& precision,
                             const std::optional<std::string>& view, std::optional<float> threshold, int tiles,
                             bool stable, int threads, int batch, bool features, bool evidence) {
  DetectorOptions options;
  options.device = device;
  const auto known = value_of<Precision>(precision);
  if (!known) throw Error(ErrorCode::usage, "there is no precision '" + precision + "'");
  options.precision = *known;
  if (view) {
    options.view = value_of<View>(*view);
    if (!options.view) throw Error(ErrorCode::usage, "there is no view '" + *view + "'");
  }
  options.threshold = threshold;
  options.tiles = tiles;
  options.stable = stable;
  options.threads = threads;
  options.batch = batch;
  options.features = features;
  options.evidence = evidence;
  return options;
}

}  // namespace
}  // namespace lfm

NB_MODULE(_lfm, m) {
  using namespace lfm;
  m.doc() = "The compiled part of lfm.";
  nb::exception<Error>(m, "Error", PyExc_RuntimeError);

  nb::class_<Evidence>(m, "Evidence",
                       "Where the logit comes from, in one window of the picture that the network was shown.")
      .def_ro("x", &Evidence::x)
      .def_ro("y", &Evidence::y)
      .def_ro("width", &Evidence::width)
      .def_ro("height", &Evidence::height)
      .def_ro("member", &Evidence::member)
      .def_prop_ro(
          "contributions",
          [](const Evidence& e) {
            return Array2(e.contributions.data(),
                          {static_cast<std::size_t>(e.rows), static_cast<std::size_t>(e.columns)}, nb::find(e));
          },
          "What each position adds to the logit, [rows, columns]; position (r, c) sees the 23x23 pixels from (8c, 8r) "
          "on.")
      .def_prop_ro(
          "grad_cam",
          [](const Evidence& e) {
            return Array2(e.grad_cam.data(), {static_cast<std::size_t>(e.rows), static_cast<std::size_t>(e.columns)},
                          nb::find(e));
          },
          "Grad-CAM, [rows, columns], 0 or more.");

  nb::class_<Detection>(m, "Record",
                        "What is known about one picture; `error` says why one that could not be scored was not.")
      .def_prop_ro(
          "path", [](const Detection& d) { return d.path.empty() ? nb::object(nb::none()) : text(d.path.string()); },
          nb::for_getter(nb::sig("def path(self, /) -> str | None")), "None for a picture from memory.")
      .def_prop_ro(
          "error", [](const Detection& d) { return d.scored() ? nb::object(nb::none()) : text(d.error); },
          nb::for_getter(nb::sig("def error(self, /) -> str | None")))
      .def_prop_ro("scored", &Detection::scored)
      .def_prop_ro("logit", [](const Detection& d) { return if_scored(d, d.logit); })
      .def_prop_ro(
          "score", [](const Detection& d) { return if_scored(d, d.score); }, "0 (real) to 1 (generated).")
      .def_prop_ro(
          "label", [](const Detection& d) { return if_scored(d, std::string(d.scored() ? label_of(d) : "")); },
          "\"real\", \"fake\" or \"unsure\".")
      .def_prop_ro(
          "reason",
          [](const Detection& d) { return reason_of(d) ? std::optional<std::string>(reason_of(d)) : std::nullopt; },
          "Why the label is \"unsure\".")
      .def_ro("width", &Detection::width)
      .def_ro("height", &Detection::height)
      .def_ro("texture", &Detection::texture)
      .def_ro("windows", &Detection::windows)
      .def_ro("empty_windows", &Detection::empty_windows)
      .def_ro("member_logits", &Detection::member_logits)
      .def_ro("evidence", &Detection::evidence, nb::rv_policy::copy,
              "Of a record that explain() returned, a window each.")
      .def_prop_ro(
          "features", [](const Detection& d) { return Array1(d.features.data(), {d.features.size()}, nb::find(d)); },
          "What enters the last layer; empty unless features() was asked.");

  nb::class_<Scorer>(m, "Scorer")
      .def(
          "__init__",
          [](Scorer* self, const std::string& model, const std::string& device, const std::string& precision,
             const std::optional<std::string>& view, std::optional<float> threshold, int tiles, bool stable,
             int threads, int batch, bool features, bool evidence) {
            new (self) Scorer(model, options_from(device, precision, view, threshold, tiles, stable, threads, batch,
                                                  features, evidence));
          },
          nb::arg("model"), nb::arg("device"), nb::arg("precision"), nb::arg("view").none(),
          nb::arg("threshold").none(), nb::arg("tiles"), nb::arg("stable"), nb::arg("threads"), nb::arg("batch"),
          nb::arg("features"), nb::arg("evidence"))
      .def("score", &Scorer::score, nb::arg("inputs"))
      .def("logits", &Scorer::logits, nb::arg("windows"),
           nb::sig("def logits(self, windows: object) -> numpy.typing.NDArray[numpy.float32]"))
      .def(
          "score_of", [](const Scorer& s, float logit) { return s.detector().score(logit); }, nb::arg("logit"))
      .def_prop_ro("description", [](const Scorer& s) { return s.detector().description(); })
      .def_prop_ro("view", [](const Scorer& s) { return std::string(word_of(s.detector().view())); })
      .def_prop_ro("threshold", [](const Scorer& s) { return s.detector().threshold(); });
}
