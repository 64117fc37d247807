# How a test is registered; the root includes this file, because test/ and check/ both do.

# Sanitized programs are several times slower, and a slow machine is no defect.
set(VARVE_TEST_SLOWNESS 1)
if(VARVE_SANITIZE OR VARVE_COVERAGE)
  set(VARVE_TEST_SLOWNESS 4)
endif()

set(VARVE_TEST_ENVIRONMENT
    VARVE_BUILD=${PROJECT_BINARY_DIR}
    VARVE_SOURCE=${PROJECT_SOURCE_DIR}
    VARVE_SANITIZE=${VARVE_SANITIZE}
    CC=${CMAKE_C_COMPILER}
    ASAN_OPTIONS=detect_leaks=1:abort_on_error=0:strict_string_checks=1:detect_stack_use_after_return=1
    UBSAN_OPTIONS=print_stacktrace=1
    TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1)
if(TARGET varve_tool)
  list(APPEND VARVE_TEST_ENVIRONMENT VARVE=$<TARGET_FILE:varve_tool>)
endif()

# Registers `command` as a test in a temporary directory of its own. in-tmp ends what runs over its time and
# clears up; the TIMEOUT of ctest, which could do neither, is only the second line.
function(varve_add_test name label seconds)
  math(EXPR seconds "${seconds} * ${VARVE_TEST_SLOWNESS}")
  math(EXPR backstop "${seconds} + 30")
  add_test(NAME ${name} COMMAND ${PROJECT_SOURCE_DIR}/test/in-tmp ${seconds} ${ARGN})
  set_tests_properties(${name} PROPERTIES LABELS ${label} TIMEOUT ${backstop} SKIP_RETURN_CODE 77
                                          ENVIRONMENT "${VARVE_TEST_ENVIRONMENT}")
endfunction()
