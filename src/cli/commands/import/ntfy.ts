import type { Verb } from "../../resource.ts";
import { FILE_FLAGS, finishImport } from "./import-flags.ts";

/** `prism import ntfy`. */
export const NTFY: Verb = {
  text: "turn users, rights and tokens of a server of ntfy into files",
  about: `Reads server.yml and the databases of users and messages, or the database of users alone; they are copied before
they are read, so that ntfy may run meanwhile. Only files that you give are opened. Accounts keep their passwords and tokens, rights and topics become those of a
project. Nothing is stored: it writes files for prism user import, apply and import tokens.`,
  examples: ["/etc/ntfy/server.yml --user-db /var/lib/ntfy/user.db --out ntfy", "user.db --out ntfy"],
  args: { file: ["<file>", "server.yml, or the database of users"] },
  flags: {
    ...FILE_FLAGS,
    project: ["--project <slug>", "project that has the topics", "default"],
    userDb: ["--user-db <file>", "database of users: auth-file of server.yml"],
    cacheDb: ["--cache-db <file>", "database of messages, for the names of topics: cache-file of server.yml"],
  },
  async act(context, { file, ...given }) {
    const [{ readNtfy }, { writeNtfy }] = await Promise.all([
      import("../../../remote/import/ntfy/read.ts"),
      import("../../../remote/import/ntfy/write.ts"),
    ]);
    const { project = "default", ...places } = given as Partial<Record<string, string>>;
    await finishImport(context, writeNtfy(await readNtfy(String(file), places), { project }), given);
  },
};
