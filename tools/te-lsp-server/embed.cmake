# Writes the texts INPUTS as a C++ string literal into OUTPUT.
#
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
set(literals "")
foreach(input IN LISTS INPUTS)
  file(READ ${input} text)
  string(APPEND literals "R\"te(${text})te\"\n")
endforeach()
file(WRITE ${OUTPUT} "${literals}")
