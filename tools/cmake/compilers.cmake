# compilers.cmake: the toolchain file of the presets. Takes Clang 22, lld and
# ccache where they are found, and the defaults of CMake where they are not.
#
# What the caller chose already (a cache variable, or CC and CXX) is left alone.
#
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

if(NOT CMAKE_CXX_COMPILER AND NOT DEFINED ENV{CXX} AND NOT DEFINED ENV{CC})
  find_program(TE_CLANG clang-22)
  find_program(TE_CLANGXX clang++-22)
  if(TE_CLANG AND TE_CLANGXX)
    set(CMAKE_C_COMPILER ${TE_CLANG})
    set(CMAKE_CXX_COMPILER ${TE_CLANGXX})
  endif()
  mark_as_advanced(TE_CLANG TE_CLANGXX)
endif()

# The linker of another major version would not read this Clang's LTO objects,
# so only the one beside it is taken.
if(CMAKE_CXX_COMPILER MATCHES "clang\\+\\+-22$")
  find_program(TE_LLD ld.lld-22)
  mark_as_advanced(TE_LLD)
  if(TE_LLD)
    foreach(kind EXE SHARED MODULE)
      set(CMAKE_${kind}_LINKER_FLAGS_INIT "-fuse-ld=lld")
    endforeach()
  endif()
endif()

find_program(TE_CCACHE ccache)
mark_as_advanced(TE_CCACHE)
if(TE_CCACHE)
  foreach(language C CXX)
    if(NOT DEFINED CMAKE_${language}_COMPILER_LAUNCHER)
      set(CMAKE_${language}_COMPILER_LAUNCHER ${TE_CCACHE})
    endif()
  endforeach()
endif()
