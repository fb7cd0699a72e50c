#include "fleet/job_scripts.h"

#include <string>

#include "fleet/embedded_lua.h"

namespace lazaret::fleet {
namespace {

redis::Script OnShard(std::string_view file) {
  return redis::Script(std::string(EmbeddedLua("job_common.lua")) + std::string(EmbeddedLua(file)));
}
redis::Script OnLease(std::string_view file) {
  return redis::Script(std::string(EmbeddedLua("job_common.lua")) + std::string(EmbeddedLua("job_lease.lua")) +
                       std::string(EmbeddedLua(file)));
}

}  // namespace

JobScripts::JobScripts()
    : submit(OnShard("job_submit.lua")),
      take(OnShard("job_take.lua")),
      untake(OnShard("job_untake.lua")),
      renew(OnLease("job_renew.lua")),
      finish(OnLease("job_finish.lua")),
      give_back(OnLease("job_return.lua")),
      revive(OnShard("job_revive.lua")),
      drop(OnShard("job_drop.lua")),
      find(std::string(EmbeddedLua("job_find.lua"))),
      list(OnShard("job_list.lua")),
      upkeep(OnShard("job_upkeep.lua")),
      mail_add(OnShard("mail_add.lua")),
      mail_take(OnShard("mail_take.lua")),
      mail_end(OnShard("mail_end.lua")) {}

}  // namespace lazaret::fleet
