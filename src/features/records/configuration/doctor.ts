import { digestOfFiles } from "../../../config/files/read-files.ts";
import { fail, pass, warn } from "../../../core/finding.ts";
import type { StoredFindings } from "../../../module/findings.ts";
import { readRecord } from "./directory/record.ts";

const NAME = "configuration.dir";

/** Whether the files of this machine are those that are applied. */
export const STORED: StoredFindings = {
  database: {
    async "configuration.dir"({ config: { configuration, cluster }, db }) {
      const { dir } = configuration;
      if (dir === undefined) return [];
      const { problem, digest } = await readRecord(db);
      if (problem)
        return [fail(NAME, `not applied: ${problem.message}`, "mend the files: the server looks at them again")];
      if (digestOfFiles(dir) === digest) return [pass(NAME, `the files of ${dir} are applied`)];
      const remedy =
        cluster.servers.length > 0
          ? "give all nodes the same files: a node that takes over applies its own"
          : "the server applies them when it starts, at SIGHUP, and within configuration.watch";
      return [warn(NAME, `the files of ${dir} are not those that are applied`, remedy)];
    },
  },
};
