# install.cmake: what `cmake --install` gives of the runtime, and the package that
# the compiler's component joins.
#
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(TE_INSTALL_CMAKEDIR ${CMAKE_INSTALL_LIBDIR}/cmake/TEOpt)
set(TE_INSTALL_PCDIR ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

set_target_properties(te_runtime PROPERTIES EXPORT_NAME runtime)
install(TARGETS te_runtime te-exec EXPORT TEOptRuntimeTargets COMPONENT runtime
        INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(DIRECTORY include/te_runtime TYPE INCLUDE COMPONENT runtime
        FILES_MATCHING PATTERN *.h)
install(FILES schema/plan.fbs DESTINATION ${CMAKE_INSTALL_DATADIR}/te-opt
        COMPONENT runtime)
install(EXPORT TEOptRuntimeTargets NAMESPACE TEOpt::
        DESTINATION ${TE_INSTALL_CMAKEDIR} COMPONENT runtime)

set(generated ${CMAKE_CURRENT_BINARY_DIR}/install)
configure_package_config_file(cmake/TEOptConfig.cmake.in
  ${generated}/TEOptConfig.cmake
  INSTALL_DESTINATION ${TE_INSTALL_CMAKEDIR}
  PATH_VARS CMAKE_INSTALL_INCLUDEDIR)
# Before 1.0 a minor version may change any interface.
write_basic_package_version_file(${generated}/TEOptConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES cmake/TEOpt-runtime.cmake ${generated}/TEOptConfig.cmake
              ${generated}/TEOptConfigVersion.cmake
        DESTINATION ${TE_INSTALL_CMAKEDIR} COMPONENT runtime)

# The prefix is found from where the file lies: an installed tree can be moved.
file(RELATIVE_PATH TE_PC_TO_PREFIX /prefix/${TE_INSTALL_PCDIR} /prefix)
string(REGEX REPLACE "/$" "" TE_PC_TO_PREFIX ${TE_PC_TO_PREFIX})
configure_file(cmake/te_runtime.pc.in ${generated}/te_runtime.pc @ONLY)
install(FILES ${generated}/te_runtime.pc DESTINATION ${TE_INSTALL_PCDIR}
        COMPONENT runtime)
