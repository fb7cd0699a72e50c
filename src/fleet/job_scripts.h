#pragma once

#include "redis/script.h"

namespace lazaret::fleet {

// What changes the job queue: one script for each transition, so that nobody sees half of one.
struct JobScripts {
  JobScripts();

  redis::Script submit, take, untake, renew, finish, give_back, revive, drop, find, list, upkeep;
  redis::Script mail_add, mail_take, mail_end;
};

}  // namespace lazaret::fleet
