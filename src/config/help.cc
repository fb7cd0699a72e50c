#include "config/help.h"

namespace lazaret::config {

const std::string_view kHelp =
    R"(lazaret - a virus scanning service: send it a file, learn whether it is clean.

Usage:
  lazaret serve [OPTION]...            run the service
  lazaret config check [OPTION]...     show every setting in use and where it comes from, or what is wrong
  lazaret config sample                print a commented configuration file
  lazaret jobs list [OPTION]...        show the submitted scans of the service that runs, dead letters included
  lazaret jobs show ID...              show all about a job
  lazaret jobs retry ID...             let a dead letter begin again
  lazaret jobs drop ID...              forget a job and its content
  lazaret override add CONTENT clean|infected --reason TEXT    say what a content is, whatever is found in it
  lazaret override list                show what is overridden
  lazaret override remove CONTENT...   let the engine's word count again
  lazaret signatures status            show which signatures are in use, and what became of the last others
  lazaret signatures reload            load the signatures of the directory now
  lazaret signatures rollback          go back to the signatures of before
  lazaret signatures check DIR         say whether signatures can be used; needs no service
  lazaret version [--json]             print the versions
  lazaret COMMAND --help               more about one command

Examples:
  lazaret serve --data ./data --test-signatures
  lazaret config sample > lazaret.toml
  lazaret config check --config lazaret.toml
  lazaret serve --config lazaret.toml --listen 0.0.0.0:8484 --listen [::]:8484

Exit status: 0 when all went well, 1 when the service or the command failed, 2 when the command line or the configuration
is wrong, 3 when there is no such job or override.
)";

const std::string_view kServeHelp =
    R"(lazaret serve - run the scanning service until SIGTERM.

Usage:
  lazaret serve [--config FILE] [OPTION]... [--set KEY=VALUE]...

Examples:
  lazaret serve --data ./data --test-signatures
  lazaret serve --config /etc/lazaret/lazaret.toml
  lazaret serve --listen 0.0.0.0:8484 --max-size 500MB --set http.idle_timeout=2m
  LAZARET_HTTP_MAX_CONNECTIONS=20000 lazaret serve --log-format json

Options:
  --config FILE      read settings from this TOML file; LAZARET_CONFIG may name it, too
  --set KEY=VALUE    set any of the settings below; may be repeated
  -h, --help         show this text

Every setting can be given in the file, then in the environment, then on the command line; the later one counts.
The variable for http.max_connections is LAZARET_HTTP_MAX_CONNECTIONS. Sizes: 64KiB, 2GiB, 500MB or bytes.
Times: 500ms, 30s, 5m, 2h, 7d. Lists: separated by commas, or by repeating the flag.

Settings:
)";

const std::string_view kCheckHelp =
    R"(lazaret config check - show every setting in use and where it comes from, or everything that is wrong.

Usage:
  lazaret config check [--config FILE] [--json] [OPTION]... [--set KEY=VALUE]...

Takes the options of lazaret serve (see lazaret serve --help) and reads the same environment. Nothing is started.
Exit status: 0 when the configuration is valid, 2 when it is not.
)";

const std::string_view kConfigHelp =
    R"(lazaret config - look at the configuration.

Usage:
  lazaret config check [--config FILE] [--json] [OPTION]...   show every setting in use, or what is wrong
  lazaret config sample                                       print a commented configuration file
)";

const std::string_view kSampleHelp =
    R"(lazaret config sample - print a configuration file that holds every setting, commented out, at its default.

Usage:
  lazaret config sample > lazaret.toml
)";

const std::string_view kVersionHelp =
    R"(lazaret version - print the version of lazaret and of the parts that it is made of.

Usage:
  lazaret version [--json]
)";

const std::string_view kJobsHelp =
    R"(lazaret jobs - the submitted scans of the service that runs on this machine.

Usage:
  lazaret jobs list [--state STATE] [--limit NUMBER] [OPTION]...   show jobs, the newest first
  lazaret jobs show ID... [OPTION]...                              show all about a job
  lazaret jobs retry ID... [OPTION]...                             let a dead letter begin again from nothing
  lazaret jobs drop ID... [OPTION]...                              forget a job, its content and its callbacks

Examples:
  lazaret jobs list --state dead
  lazaret jobs show 275a021b
  lazaret jobs retry 275a021b 8c1d99e0
  lazaret jobs list --state dead --limit 10000 --json | jq -r '.jobs[].id' | xargs -r lazaret jobs retry
  lazaret jobs drop 275a021bbfb6489e54d471899f7db9d1663fc695ec2fe2a2c4538aabf651fd0f --data /srv/lazaret

Options:
  --state STATE      only jobs that are queued, scanning, done or dead (list)
  --limit NUMBER     at most so many, 1 to 10000; default 100 (list)
  --json             print the service's JSON, one line an id for show, retry and drop
  --data DIR         the data directory of the service that is meant
  --config FILE      take it from this file; LAZARET_CONFIG may name it, and LAZARET_DATA the directory itself
  -h, --help         show this text

ID is the scan id, or its beginning, 8 digits or more, when no other of fewer than 10000 jobs begins like that.
A job of any state may be dropped: who waits for its verdict waits in vain. A dead letter can be retried as long as its
content is kept (see lazaret jobs show).

The commands talk to the service over control.sock in its data directory, which only the service's user and root may open.
Exit status: 0 when all went well, 1 when something failed, 2 when the command line or the configuration is wrong, 3 when
there is no such job.
)";

const std::string_view kOverrideHelp =
    R"(lazaret override - allow or deny a content by its SHA-256, whatever the engine finds in it.

Usage:
  lazaret override add CONTENT clean|infected --reason TEXT [OPTION]...
  lazaret override list [OPTION]...
  lazaret override remove CONTENT... [OPTION]...

Examples:
  lazaret override add ./invoice.pdf clean --reason "false alarm, ticket 4711" --until 7d
  lazaret override add 275a021bbfb6489e54d471899f7db9d1663fc695ec2fe2a2c4538aabf651fd0f infected --reason "seen in mail"
  lazaret override list --json | jq -r '.overrides[].id'
  lazaret override remove ./invoice.pdf

Options:
  --reason TEXT      why, up to 500 bytes; it is shown with every answer and logged (add)
  --until WHEN       when it ends by itself: 2026-11-30, 2026-11-30T18:00Z, or from now 90m, 12h, 7d (add)
  --signature NAME   what an infected content is called; default Lazaret.Override (add)
  --json             print the service's JSON, one line for each content for add and remove
  --data DIR         the data directory of the service that is meant
  --config FILE      take it from this file; LAZARET_CONFIG may name it, and LAZARET_DATA the directory itself
  -h, --help         show this text

CONTENT is a SHA-256, 64 hexadecimal digits, or a file, which is hashed here and not sent. An override answers every scan of
this content before cache and engine, and is marked in the answer. A second one of the same content replaces the first.
Services that share a Redis share their overrides: all of them know within seconds.

The commands talk to the service over control.sock in its data directory, which only the service's user and root may open.
Exit status: 0 when all went well, 1 when something failed, 2 when the command line or the configuration is wrong, 3 when
there is no such override.
)";

const std::string_view kSignaturesHelp =
    R"(lazaret signatures - which signatures the service uses, and a way forth and back.

Usage:
  lazaret signatures status [OPTION]...                     show those in use, those of before, and the last refusal
  lazaret signatures reload [--force] [OPTION]...           read the directory now, and wait until its are in use
  lazaret signatures rollback [--reason TEXT] [OPTION]...   go back to those of before
  lazaret signatures check DIR [OPTION]...                  load the signatures of DIR and try them out, without a service

Examples:
  lazaret signatures status
  lazaret signatures check /srv/new-signatures && rsync -a --delete /srv/new-signatures/ /var/lib/clamav/
  lazaret signatures rollback --reason "false alarms since this morning, ticket 4711"
  lazaret signatures status --json | jq -r .refused.reason

Options:
  --force            also take signatures that were gone back from, or are far fewer than those in use (reload)
  --reason TEXT      why, up to 500 bytes; it is shown by status and logged (rollback)
  --json             print JSON
  --data DIR         the data directory of the service that is meant
  --config FILE      take it from this file; LAZARET_CONFIG may name it, and LAZARET_DATA the directory itself
  -h, --help         show this text

A service notices changes of its directory by itself: reload is for those who will not wait. What was gone back from is not
loaded again before the directory holds others. check uses the settings of the service ([signatures] and [engine] of its
configuration), needs as much memory as the signatures do, and compares them with none.

The commands but check talk to the service over control.sock in its data directory, which only the service's user and root
may open. Exit status: 0 when all went well, 1 when signatures were refused or something failed, 2 when the command line or
the configuration is wrong.
)";

}  // namespace lazaret::config
