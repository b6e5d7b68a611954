// From files or pixels to scores. A program that does useful work:
//
//   #include <lfm/detector.h>
//   #include <iostream>
//   int main(int argc, char** argv) {
//     lfm::Detector detector(lfm::find_model());
//     for (const lfm::Detection& d : detector.detect_files({argv + 1, argv + argc})) {
//       std::cout << d.path << ' ' << (d.scored() ? (d.fake ? "fake" : "real") : d.error) << ' ' << d.score << '\n';
//     }
//   }
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lfm/error.h"
#include "lfm/image.h"
#include "lfm/model.h"
#include "lfm/precision.h"

namespace lfm {

/// The files that a list names, separated by commas; a file whose own name has commas is one. Throws as find_model
/// does.
std::vector<std::filesystem::path> find_models(const std::string& names = "");

/// The model in one file, or that of which the models in several are members. Throws Error{model}, Error{usage}.
Model load_models(const std::vector<std::filesystem::path>& files, Combination combination = Combination::first_fake);

/// The file of an installed model. A name that is an existing file, has a slash or ends in .lfmw is taken as a path; ""
/// is $LFM_MODEL where that is set, else "default". Names are looked up as NAME.lfmw in ../share/lfm-cuda beside the
/// running program, then in the share/lfm-cuda that the library was installed to. Throws Error{model} with the places
/// searched and the remedy.
std::filesystem::path find_model(const std::string& name = "");

struct DetectorOptions {
  std::string device = "auto";                 ///< auto, cpu, cuda, cuda:N, cuda:all, reference or emulated
  Precision precision = Precision::automatic;  ///< refused with Error{usage} where the device lacks it
  /// Of a GPU, whose kernels compute which stage: "own", "cudnn", "cublas", or a stage each,
  /// "block3=cudnn,projection=cublas". Throws Error{device} where a library is missing.
  std::string kernels = "own";
  int threads = 0;                 ///< for decoding and for the CPU engine; 0: all cores this process may use
  int batch = 0;                   ///< images that go through the network together; 0: what suits the device
  std::optional<View> view;        ///< how an image becomes the network's input; the model's own by default
  std::optional<float> threshold;  ///< score above which an image is called fake; the model's own by default
  /// Instead: the threshold that the model's table has for this rate of false alarms, 0.05 for instance. Throws
  /// Error{usage}, with the remedy, where it has none.
  std::optional<double> threshold_at;
  DecodeLimits limits;
  int tiles = 9;  ///< of one picture at most, with View::tiles
  /// How each picture is delivered, in words like "none", "jpeg:90", "webp:80,60", "blur:1", "resize:0.5", "noise:4",
  /// "shift:3"; one value a delivery, every one scored. None: the picture as it is.
  std::vector<std::string> deliveries;
  /// Scores a fixed set of mild re-deliveries (unless `deliveries` names others) and answers with their median; unsure
  /// where their verdicts differ, or the odds lie within a factor of 1.5 of the threshold's.
  bool stable = false;
  bool features = false;  ///< also return what enters the last layer
  bool signs = false;     ///< also return what the file tells of the picture's origin beside the pixels
  bool evidence = false;  ///< also return where in the picture the logit comes from
  int thumbnails = 0;     ///< longer side of a thumbnail to return; 0: none
  std::function<void(const std::string&)> note;  ///< told once when `auto` can't use the GPU a CUDA build was made for
};

/// Where the logit comes from, in one window of the picture that the network was shown.
struct Evidence {
  double x = 0, y = 0, width = 0, height = 0;  ///< of the window, in pixels of the picture upright
  int view_width = 0, view_height = 0;         ///< its size as the network saw it
  /// Of the network's last map; position (r, c) sees side x side pixels of the view, see below.
  int rows = 0, columns = 0;
  /// [rows*columns]; over all of a member's windows they sum to its logit less its bias.
  std::vector<float> contributions;
  std::vector<float> grad_cam;            ///< [rows*columns], 0 or more
  std::size_t member = 0;                 ///< of the model, whose evidence it is
  int stride = 8, side = 23, before = 0;  ///< what a position sees begins at (stride c - before, stride r - before)
};

/// Something that speaks of a picture's origin beside the pixels the network sees: what its file says, or what
/// processing left behind. It never enters the score. The man page lists them (WHAT A FILE TELLS BESIDE ITS PIXELS).
struct Sign {
  std::string source;  ///< "C2PA", "XMP", "EXIF", "PNG", "JPEG", "pixels", "file"
  std::string name;    ///< "claim generator", "digitalSourceType", "camera", "quality"
  std::string value;   ///< as the file has it, cut after 400 bytes: any bytes
};

/// Why no verdict should rest on a score.
enum class Doubt {
  none,
  no_texture,  ///< what the network sees is flat, or enlarged pixel by pixel: neighbouring pixels hardly differ
  flips,       ///< with DetectorOptions::stable: a mild re-delivery has the other verdict
  close,       ///< with DetectorOptions::stable: the odds lie near the threshold's
};

/// What is known about one image.
struct Detection {
  enum class Status {
    scored,
    failed,   ///< `error` says why
    skipped,  ///< found in a folder and no image
  };
  Status status = Status::failed;
  std::filesystem::path path;  ///< empty for an image from memory
  std::uint64_t ticket = 0;    ///< of its Input
  std::string error;           ///< cause, without the path
  std::string part =
      {};  ///< of a file with several pictures which one, "page 2", "0:00:03.000"; "preview" of a raw file; or ""
  int width = 0;  ///< of the image upright, as are the evidence and the thumbnail
  int height = 0;
  int orientation = 1;  ///< how the image as decoded, which is what is scored, was turned to be upright: EXIF's 1 to 8
  float logit = 0;
  float score = 0;      ///< probability of being generated
  bool fake = false;    ///< score > threshold
  bool unsure = false;  ///< whatever `fake` says, no verdict should rest on this: there is a doubt
  Doubt doubt = Doubt::none;
  /// Share of the 2x2 cells whose pixels differ by more than a grey level, over all windows that the view has of the
  /// picture.
  float texture = 0;
  int windows = 1;        ///< that the view has of the picture: tiles, or one
  int empty_windows = 0;  ///< of them, with next to no texture: they don't count, unless all are so (Doubt::no_texture)
  /// [64*k] (channel, rank), if asked for; of tiles their mean, of deliveries the first, of members one after the
  /// other.
  std::vector<float> features;
  /// One a delivery; NaN where the picture can't be delivered so. `logit` and `score` are the first that it can, or the
  /// median.
  std::vector<float> delivered_logits, delivered_scores;
  /// With a model of several members, else empty: their own logits, [members], of the first delivery that there is, and
  /// [deliveries][members].
  std::vector<float> member_logits, delivered_member_logits;
  std::size_t decided_by = 0;  ///< the member that spoke for that delivery's logit most, or alone
  /// Of the picture as it is, if asked for, a window each that counts, member after member; none where that is not
  /// among the deliveries.
  std::vector<Evidence> evidence;
  std::vector<std::uint8_t> thumbnail;  ///< WebP, if asked for
  std::vector<Sign> signs;              ///< if asked for

  bool scored() const { return status == Status::scored; }
};

/// Pictures of one size as the network takes them, [n][height][width][3] uint8: decoded, and cut or scaled by the
/// caller.
struct Windows {
  const std::uint8_t* pixels = nullptr;
  int n = 0;
  int height = 0;
  int width = 0;
  /// Read where they lie in the memory of the detector's GPU (of several, the first), whoever allocated it; work on it
  /// that was launched before, on any stream, is waited for. Else they lie in the computer's memory.
  bool on_gpu = false;
};

/// A path to score, or a picture in memory. Only a folder's members may be skipped for being no image.
struct Input {
  std::filesystem::path path;
  bool from_folder = false;
  std::string error = {};         ///< non-empty: it is known already that this path fails, and why
  std::optional<View> view = {};  ///< for this path another than the detector's
  std::string part = {};          ///< Detection::part
  std::shared_ptr<const Image> image =
      {};               ///< what is scored, where the source has decoded it already: a page of the file, or a frame
  int orientation = 1;  ///< of `image`, that turns it upright: EXIF's 1 to 8
  /// A file's bytes, in place of `path`. Errors name none then.
  std::shared_ptr<const std::vector<std::byte>> bytes = {};
  std::uint64_t ticket = 0;  ///< handed back in the Detection
  bool stable = false;       ///< as DetectorOptions::stable, for this picture
  bool evidence = false;     ///< as DetectorOptions::evidence, for this picture
};

/// Where a stream's paths come from: one after the other until nothing is returned. Called from one thread at a time,
/// not always the same.
class InputSource {
 public:
  virtual ~InputSource() = default;
  virtual std::optional<Input> next() = 0;
  /// True while next() waits for someone else, a slow list for instance: what has been read so far should not wait with
  /// it. Called from any thread, as is cancel(), which makes a waiting next() return nothing.
  virtual bool starved() const { return false; }
  virtual void cancel() {}
  /// For a source that becomes starved while next() waits: what it then has to call, from any thread, holding none of
  /// its locks.
  virtual void when_starved(std::function<void()> tell) { static_cast<void>(tell); }
  /// Whether results go to the sink in the order of the source; else as they are ready.
  virtual bool in_order() const { return true; }
};

/// A model on a device. One caller at a time, but for what is const; movable.
class Detector {
 public:
  /// Throws Error{model}, Error{device}, Error{usage}.
  explicit Detector(const std::filesystem::path& model, const DetectorOptions& options = {});
  explicit Detector(const Model& model, const DetectorOptions& options = {});
  Detector(Detector&&) noexcept;
  Detector& operator=(Detector&&) noexcept;
  ~Detector();

  /// Throws Error{input} where the image is too small.
  Detection detect(const Image& image);

  /// Files, and the images in folders at any depth, in this order; members of a folder by name. A file that can't be
  /// scored is a Detection that failed; only a failing device throws.
  std::vector<Detection> detect_files(const std::vector<std::filesystem::path>& inputs);

  /// The same for any number of images in bounded memory: decoding, network and `sink` run at the same time, `sink` on
  /// the calling thread and in the order of the source. What `sink` throws ends the run and is thrown on.
  void detect_stream(InputSource& source, const std::function<void(Detection&&)>& sink);

  /// The model's logits of windows, [n]; view, deliveries and texture play no part. Throws Error{usage} where there are
  /// none or where on_gpu doesn't hold, Error{input} where they are too small.
  std::vector<float> logits(const Windows& windows);
  float score(float logit) const;  ///< the calibrated probability of being generated

  View view() const;
  float threshold() const;
  /// What a verdict at this threshold means, in words: of 100 reals and of 100 fakes, how many are called fake. Empty
  /// where the model's table of thresholds does not tell.
  std::string verdict_meaning() const;
  std::vector<std::string> deliveries() const;              ///< names, in the order of delivered_scores
  std::vector<std::string> deliveries_when_stable() const;  ///< the same of an Input that is to be `stable`
  std::size_t feature_count() const;
  std::vector<std::string> members() const;  ///< names of the model's members; one where it is a single network
  std::string description() const;           ///< of the device, for people

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lfm
