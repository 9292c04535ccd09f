# install.cmake: what `cmake --install` gives of the compiler: the component
# `compiler` of the package that runtime/cmake/install.cmake sets up.
#
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
include(GNUInstallDirs)
set(TE_INSTALL_CMAKEDIR ${CMAKE_INSTALL_LIBDIR}/cmake/TEOpt)

set_target_properties(te_mlir PROPERTIES EXPORT_NAME mlir)
set_target_properties(te_mlir_c PROPERTIES EXPORT_NAME mlir_c)
set_target_properties(te_compiler PROPERTIES EXPORT_NAME compiler)
target_compile_features(te_mlir INTERFACE cxx_std_17)
install(TARGETS te_mlir te_mlir_c te_compiler EXPORT TEOptCompilerTargets COMPONENT compiler
        INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(DIRECTORY include/te include/te-c ${PROJECT_BINARY_DIR}/include/te TYPE INCLUDE
        COMPONENT compiler
        FILES_MATCHING PATTERN *.h PATTERN *.td PATTERN *.inc
        PATTERN pch.h EXCLUDE PATTERN CMakeFiles EXCLUDE)
install(EXPORT TEOptCompilerTargets NAMESPACE TEOpt::
        DESTINATION ${TE_INSTALL_CMAKEDIR} COMPONENT compiler)
configure_file(tools/cmake/TEOpt-compiler.cmake.in
               ${PROJECT_BINARY_DIR}/install/TEOpt-compiler.cmake @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/install/TEOpt-compiler.cmake
        DESTINATION ${TE_INSTALL_CMAKEDIR} COMPONENT compiler)
