# SPDX-License-Identifier: Apache-2.0
# The CUDA backend, where a compiler is found. Its kernels are compiled by rules of our own: CMake
# 3.25, which Debian 12 has, does not know C++20 for the compiler of CUDA 13.
set(UPRES_CUDA_ROOT ${CMAKE_SOURCE_DIR}/build/cuda/nvidia/cu13 CACHE PATH
    "Where CUDA's compiler is looked for last; ./dev puts one from PyPI there")

# Blackwell's GeForce came with 12.8; Debian's own package is older.
function(upres_can_compile result nvcc)
  execute_process(COMMAND ${nvcc} --version OUTPUT_VARIABLE text ERROR_QUIET)
  if(NOT text MATCHES "release ([0-9.]+)" OR CMAKE_MATCH_1 VERSION_LESS 12.8)
    set(${result} FALSE PARENT_SCOPE)
  endif()
endfunction()
find_program(UPRES_NVCC nvcc HINTS /usr/local/cuda/bin $ENV{CUDA_HOME}/bin
             PATHS ${UPRES_CUDA_ROOT}/bin VALIDATOR upres_can_compile)
if(UPRES_NVCC)
  get_filename_component(root ${UPRES_NVCC} REALPATH)
  get_filename_component(root ${root}/../.. ABSOLUTE)
  find_library(UPRES_CUDART cudart_static HINTS ${root}/lib64 ${root}/lib)
  find_path(UPRES_CUDA_INCLUDE cuda_runtime_api.h HINTS ${root}/include)
endif()
if(NOT UPRES_NVCC OR NOT UPRES_CUDART OR NOT UPRES_CUDA_INCLUDE)
  if(UPRES_WITH_CUDA STREQUAL "ON")
    message(FATAL_ERROR "UPRES_WITH_CUDA is ON, but nvcc 12.8 or later and libcudart_static are not found")
  endif()
  message(STATUS "No CUDA compiler: built without the backend for NVIDIA GPUs")
  return()
endif()

set(UPRES_CUDA_FOUND ON)

# Ampere, its GeForce, Ada, Hopper, Blackwell's GeForce; PTX of the first for what comes later.
set(UPRES_CUDA_ARCHITECTURES 80 86 89 90 120 CACHE STRING "Compute capabilities to compile for")
set(architectures -gencode=arch=compute_80,code=compute_80)
foreach(number ${UPRES_CUDA_ARCHITECTURES})
  list(APPEND architectures -gencode=arch=compute_${number},code=sm_${number})
endforeach()

# A source of the target for these architectures. A kernel whose registers spill to memory does not compile.
function(add_kernels target source)
  get_filename_component(name ${source} NAME_WE)
  set(object ${CMAKE_BINARY_DIR}/cuda/${name}.o)
  add_custom_command(
    OUTPUT ${object}
    COMMAND ${CMAKE_COMMAND} -E make_directory ${CMAKE_BINARY_DIR}/cuda
    COMMAND ${CCACHE} ${UPRES_NVCC} -c -O3 -std=c++20 --expt-relaxed-constexpr ${ARGN} -I${CMAKE_SOURCE_DIR}/src
            -Xptxas=-warn-spills,-Werror -MD -MF ${object}.d -o ${object} ${CMAKE_SOURCE_DIR}/${source}
    DEPENDS ${CMAKE_SOURCE_DIR}/${source}
    DEPFILE ${object}.d
    COMMENT "Building CUDA object cuda/${name}.o"
    VERBATIM)
  target_sources(${target} PRIVATE ${object})
endfunction()
foreach(name convolution_fp32 convolution_mma elementwise film_pixels pixels)
  add_kernels(backend src/backend/cuda/${name}.cu ${architectures})
endforeach()
# Links without media, so that it travels light.
add_executable(bench_gpu EXCLUDE_FROM_ALL bench/gpu/network.cc)
target_include_directories(bench_gpu SYSTEM PRIVATE ${UPRES_CUDA_INCLUDE})
add_kernels(bench_gpu bench/gpu/roof.cu ${architectures})
if(90 IN_LIST UPRES_CUDA_ARCHITECTURES)
  # Hopper's own instructions are in none of its successors.
  set(hopper -gencode=arch=compute_90a,code=sm_90a)
  add_kernels(backend src/backend/cuda/row_stream_sm90.cu ${hopper})
  add_kernels(bench_gpu bench/gpu/roof_sm90.cu ${hopper})
  target_compile_definitions(bench_gpu PRIVATE UPRES_WITH_SM90)
  target_sources(backend PRIVATE src/backend/cuda/row_stream.cc)
  target_compile_definitions(backend PRIVATE UPRES_WITH_SM90)
endif()
target_sources(backend PRIVATE
  src/backend/cuda/convolution.cc src/backend/cuda/cuda.cc src/backend/cuda/engine.cc src/backend/cuda/film_session.cc
  src/backend/cuda/job_session.cc src/backend/cuda/layout.cc
  src/backend/cuda/runtime.cc src/backend/cuda/session.cc)
target_include_directories(backend SYSTEM PRIVATE ${UPRES_CUDA_INCLUDE})
target_compile_definitions(backend PRIVATE UPRES_WITH_CUDA)
target_link_libraries(backend PRIVATE ${UPRES_CUDART} rt dl pthread)
