# A port that was never tried: vcpkg install parlor --overlay-ports=clients/c/packaging/vcpkg
# It builds this checkout, and needs cargo, cc and binutils.
get_filename_component(package "${CURRENT_PORT_DIR}/../.." ABSOLUTE)
set(work "${CURRENT_BUILDTREES_DIR}/${TARGET_TRIPLET}")
file(MAKE_DIRECTORY "${work}")
vcpkg_execute_required_process(
    COMMAND env "CARGO_TARGET_DIR=${work}/target" sh "${package}/build.sh" "${work}/built"
    WORKING_DIRECTORY "${package}"
    LOGNAME build)
vcpkg_execute_required_process(
    COMMAND sh "${package}/install.sh" "${work}/built" "${CURRENT_PACKAGES_DIR}"
    WORKING_DIRECTORY "${package}"
    LOGNAME install)
vcpkg_cmake_config_fixup(PACKAGE_NAME parlor CONFIG_PATH lib/cmake/parlor)
vcpkg_fixup_pkgconfig()
vcpkg_install_copyright(FILE_LIST "${package}/../../LICENSE-MIT" "${package}/../../LICENSE-APACHE")
