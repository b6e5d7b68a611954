// From what a run is told to what its parts are made from.
#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "src/data/dataset.h"
#include "src/data/loader.h"
#include "src/engine/device.h"
#include "src/train/options.h"
#include "src/train/process_group.h"
#include "src/train/run_state.h"

namespace lfm {

/// The pictures under options.data, and with a teacher those without a label too; under options.val. Throws
/// Error{input}, also where the labels' loss has a part in the run and one of both labels is missing.
Dataset training_data(const TrainOptions& options);
Dataset validation_data(const TrainOptions& options);

/// "800 reals and 788 fakes"
std::string count_text(const Dataset& data);

/// The model that a new run starts from: read from options.init, or drawn from the seed. Throws Error{model}, and
/// Error{usage} where it has another trunk, residual or pooling than the run.
Model initial_model(const TrainOptions& options);

/// Of the root's model to all: its architecture and parameters.
void share_model(const ProcessGroup& group, Model& model);

/// Of this process: its share of the host's cores unless the user says otherwise.
int thread_count(const TrainOptions& options, const ProcessGroup& group);

/// Of this process's share of each step; its batches lie in pixel_memory.
LoaderOptions training_loader_options(const TrainOptions& options, const ProcessGroup& group,
                                      std::pmr::memory_resource* pixel_memory);
/// Of the root, which validates alone.
LoaderOptions validation_loader_options(const TrainOptions& options, const ProcessGroup& group);

/// Of several processes on a host each takes a GPU of its own, unless the user names one. Waits for the others, and
/// throws Error{device} on all where some have a GPU and some have none.
Device device_of(const TrainOptions& options, const ProcessGroup& group);

/// Deals a step's images, which stay the same, out to another number of processes. Throws Error{usage} where that can't
/// be done evenly.
void deal_out(SavedRun& run, int processes);

/// A saved run's options with those that the user gives anew, as in to_json(TrainOptions). Throws Error{usage} for one
/// that may not change.
TrainOptions changed_options(const TrainOptions& saved, const nlohmann::json& given,
                             const std::filesystem::path& folder);

}  // namespace lfm
