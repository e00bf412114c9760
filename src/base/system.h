// SPDX-License-Identifier: Apache-2.0
// What the machine has, and where the program is.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>

namespace upres {

/// All memory of the machine, or of the cgroup where that is less, in bytes.
size_t total_memory();

/// Memory that a program can take now without swapping, in bytes: the kernel's MemAvailable, or
/// what the cgroup has left where that is less.
size_t available_memory();

/// Memory that this process has taken, in bytes; 0 where the system does not say.
size_t resident_memory();

/// The file of the program that runs; empty where the system does not say.
std::filesystem::path program_path();

/// Processors that this process may run on; at least 1.
int processor_count();

/// The processor as it calls itself: "AMD EPYC 7763 64-Core Processor".
std::string processor_name();

/// The processor's vector instructions that kernels are written for: "AVX2 FMA F16C".
std::string instruction_sets();

/// The version of NVIDIA's driver, as in "535.54"; empty where there is none.
std::string nvidia_driver_version();

/// Makes OpenMP's threads sleep when they have waited for each other for a fraction of a
/// millisecond. Left alone they spin, which beside other busy programs takes the processor from the
/// very thread they wait for; put to sleep at once they cost a twentieth of the time of small
/// layers. The runtime reads the settings when it is loaded, before main(), so the program starts
/// itself once more; does nothing on that second start, or where the user has set OMP_WAIT_POLICY.
void start_with_patient_threads(char** argv);

}  // namespace upres
