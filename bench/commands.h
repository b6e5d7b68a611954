// The subcommands of lfm-bench. Each adds itself, and runs as the callback of its command; a failure is an Error, or a
// CLI::RuntimeError with the exit code.
#pragma once

namespace CLI {
class App;
}

namespace lfm::bench {

/// roofline, kernels, ceilings: bounds of the CUDA kernels, and what a GPU makes of them
void add_gpu_commands(CLI::App& app);
void add_engine_command(CLI::App& app);       ///< an engine's inference, whole or stage by stage
void add_training_command(CLI::App& app);     ///< an engine's training step
void add_cpu_kernels_command(CLI::App& app);  ///< single operations of the CPU, where the build has Google Benchmark
void add_worker_command(CLI::App& app);       ///< an engine, or the decoder, on request: what bench/compare drives

/// Bytes read and copied per second from memory by so many threads together; prints JSON.
void measure_memory(int threads);

}  // namespace lfm::bench
