# SPDX-License-Identifier: Apache-2.0
# The part of the tensorrt backend that needs TensorRT's headers, where they are found. Its libraries
# are opened when the program runs.
set(UPRES_TENSORRT_ROOT "" CACHE PATH
    "Folder of TensorRT 10 or 11, or of its headers alone (NvInfer.h, NvOnnxParser.h)")

unset(UPRES_TENSORRT_INCLUDE CACHE)  # of another root
find_path(UPRES_TENSORRT_INCLUDE NvOnnxParser.h HINTS ${UPRES_TENSORRT_ROOT} PATH_SUFFIXES include)
if(UPRES_TENSORRT_ROOT)
  if(NOT EXISTS ${UPRES_TENSORRT_INCLUDE}/NvInfer.h)
    message(FATAL_ERROR "UPRES_TENSORRT_ROOT: neither ${UPRES_TENSORRT_ROOT} nor its include has "
                        "NvInfer.h and NvOnnxParser.h")
  endif()
  if(NOT UPRES_CUDA_FOUND)
    message(FATAL_ERROR "UPRES_TENSORRT_ROOT: the tensorrt backend needs CUDA's compiler, which is not found")
  endif()
endif()
if(NOT UPRES_CUDA_FOUND OR NOT EXISTS ${UPRES_TENSORRT_INCLUDE}/NvInfer.h)
  target_sources(backend PRIVATE src/backend/tensorrt/adapter_absent.cc)
  return()
endif()

set(UPRES_TENSORRT_FOUND ON)
add_kernels(backend src/backend/tensorrt/samples.cu ${architectures})
target_sources(backend PRIVATE src/backend/tensorrt/builder.cc src/backend/tensorrt/engine.cc)
target_include_directories(backend SYSTEM PRIVATE ${UPRES_TENSORRT_INCLUDE})
