# lazaret_embed_lua(TARGET scripts/a.lua ...): the texts of Lua scripts become part of TARGET, which gives them by their
# file names: fleet/embedded_lua.h. Paths are relative to the caller's source folder.
set(LAZARET_EMBED_LUA ${CMAKE_CURRENT_LIST_FILE})

function(lazaret_embed_lua target)
  set(output ${CMAKE_CURRENT_BINARY_DIR}/embedded_lua.cc)
  list(TRANSFORM ARGN PREPEND ${CMAKE_CURRENT_SOURCE_DIR}/ OUTPUT_VARIABLE scripts)
  string(REPLACE ";" "|" joined "${scripts}")
  add_custom_command(
    OUTPUT ${output}
    COMMAND ${CMAKE_COMMAND} -DOUTPUT=${output} "-DSCRIPTS=${joined}" -P ${LAZARET_EMBED_LUA}
    DEPENDS ${scripts} ${LAZARET_EMBED_LUA}
    VERBATIM)
  target_sources(${target} PRIVATE ${output})
endfunction()

# Run as a script: writes OUTPUT.
if(CMAKE_SCRIPT_MODE_FILE STREQUAL CMAKE_CURRENT_LIST_FILE)
  string(REPLACE "|" ";" SCRIPTS "${SCRIPTS}")
  set(text "#include \"fleet/embedded_lua.h\"\n\n#include <stdexcept>\n#include <string>\n\nnamespace lazaret::fleet {\n\n")
  string(APPEND text "std::string_view EmbeddedLua(std::string_view file) {\n")
  foreach(script IN LISTS SCRIPTS)
    get_filename_component(name ${script} NAME)
    # Brackets and semicolons would make a list of it.
    file(READ ${script} body HEX)
    string(REGEX REPLACE "([0-9a-f][0-9a-f])" "\\\\x\\1" body "${body}")
    # Literals of 2,000 characters at most: compilers limit one.
    string(REGEX REPLACE "((\\\\x[0-9a-f][0-9a-f])(\\\\x[0-9a-f][0-9a-f])?(\\\\x[0-9a-f][0-9a-f])?(\\\\x[0-9a-f][0-9a-f])?(\\\\x[0-9a-f][0-9a-f])?(\\\\x[0-9a-f][0-9a-f])?(\\\\x[0-9a-f][0-9a-f])?(\\\\x[0-9a-f][0-9a-f])?)" "      \"\\1\"\n" body "${body}")
    string(APPEND text "  if (file == \"${name}\") {\n    return\n${body}      \"\";\n  }\n")
  endforeach()
  string(APPEND text "  throw std::logic_error(\"no script of the name \" + std::string(file));\n}\n\n}  // namespace lazaret::fleet\n")
  file(WRITE ${OUTPUT} "${text}")
endif()
