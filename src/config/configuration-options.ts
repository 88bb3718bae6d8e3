import * as v from "valibot";
import * as k from "./kinds.ts";
import { option, optional } from "./option.ts";

const source: k.Kind<string> = {
  schema: v.pipe(
    v.string(),
    v.regex(
      /^[a-z0-9][a-z0-9._/-]{0,63}$/,
      "must be 1 to 64 of a-z, 0-9, dot, dash, slash and underscore, and begin with a letter or digit",
    ),
  ),
  fromText: (text) => text.trim(),
};

/** A directory of configuration files that the server applies by itself: docs/configuration-directory.md. */
export const CONFIGURATION_OPTIONS = {
  dir: optional(
    k.text(),
    "directory of configuration files that the server applies at its start, at SIGHUP, and when they have changed",
  ),
  source: option(source, "dir", "owner of what the files of configuration.dir name, in place of their own `source`"),
  prune: option(k.boolean(), false, "deletes what was applied from configuration.dir and its files no longer have"),
  allowDeletes: option(
    k.integer(0, 2000),
    0,
    "largest number of objects that one apply of configuration.dir deletes; 0: ten, or a tenth of what its source has",
  ),
  lock: option(
    k.boolean(),
    true,
    "whether the console and the API refuse to change what configuration.dir has, in place of `lock` of its files",
  ),
  secretsDir: optional(
    k.text(),
    "directory that may have files of secrets, such as a mounted Secret, beside configuration.dir",
  ),
  watch: option(k.duration(1000, 86_400_000), 60_000, "interval of looking whether configuration.dir has changed"),
  onError: option(
    k.oneOf("keep", "refuse"),
    "keep",
    "keep starts with what is stored if configuration.dir cannot be applied; refuse does not start (exit code 3), " +
      "unless the server is a node of a cluster",
  ),
};
