import type { Verb } from "../../resource.ts";
import { FILE_FLAGS, finishImport } from "./import-flags.ts";

/** `prism import gotify`. */
export const GOTIFY: Verb = {
  text: "turn users, applications and clients of a server of Gotify into files",
  about: `Reads gotify.db, which is copied before it is read, so that Gotify may run meanwhile; or, for MySQL and PostgreSQL,
a directory with a file <table>.tsv of the tables users, applications, clients and plugin_confs. Accounts keep their
passwords, applications and clients their tokens. Nothing is stored: it writes files for prism user import and import
tokens.`,
  examples: ["/var/lib/gotify/data/gotify.db --out gotify"],
  args: { file: ["<file>", "gotify.db, or a directory with tables of MySQL or PostgreSQL"] },
  flags: { out: FILE_FLAGS.out, force: FILE_FLAGS.force },
  async act(context, { file, ...given }) {
    const [{ readGotify }, { writeGotify }] = await Promise.all([
      import("../../../remote/import/gotify/read.ts"),
      import("../../../remote/import/gotify/write.ts"),
    ]);
    await finishImport(context, writeGotify(await readGotify(String(file))), given);
  },
};
