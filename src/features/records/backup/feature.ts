import * as v from "valibot";
import { fileReply } from "../../../http/api/replies.ts";
import { doc, named, object, text } from "../../../http/api/shapes.ts";
import { holderOf } from "../../../http/server/access.ts";
import { API_HEADERS } from "../../../http/server/headers.ts";
import { type FeatureServer, feature } from "../../../module/feature.ts";
import { Backups } from "./backups.ts";
import { operatorRoutes } from "./operator-routes.ts";

const tag = "Backups";
const PATH = "/api/v1/backups";
const access = { permission: "system:manage" } as const;
const shared = { tag, access } as const;
const named404 = ["NOT_FOUND"] as const;

const Name = object({ name: doc(text(64, 1), "Name of the archive") });

const BackupView = named(
  "Backup",
  "An archive in the directory of backups",
  v.object({
    name: v.string(),
    bytes: v.number(),
    createdAt: v.string(),
    version: doc(v.nullable(v.string()), "Version of the server that made it; null: the archive is damaged"),
    withSecrets: doc(v.boolean(), "It contains the keys, sealed with a passphrase"),
    key: doc(v.picklist(["current", "previous", "unknown"]), "The encryption key that it needs"),
    checkedAt: doc(v.nullable(v.string()), "When it was last checked completely; null: never"),
    problem: doc(v.nullable(v.string()), "Why it cannot be restored; null: no problem is known"),
  }),
);

const JobReply = named(
  "BackupJob",
  "The job that does the work; follow it with `GET /api/v1/jobs/{id}`",
  v.object({ jobId: v.string(), state: v.string() }),
);

const ListReply = v.object({
  data: doc(v.array(BackupView), "All archives, newest first"),
  directory: doc(v.string(), "Their directory on the server"),
  restore: doc(v.string(), "The command that restores one, with the server stopped"),
});

/** Archives in the default directory: listing, making, checking, downloading and deleting them. */
export const backupsFeature = feature("backups", {
  needs: ["runner", "jobs", "sealedColumns"],
  findings: { stored: () => import("./doctor.ts") },
  register(server, context) {
    serve(server, new Backups(context));
    for (const each of operatorRoutes(context)) server.route(each);
  },
});

function serve(server: FeatureServer, backups: Backups): void {
  server.route({
    ...shared,
    method: "GET",
    path: PATH,
    id: "listBackups",
    summary: "List the archives in the directory of backups, newest first",
    details: "Archives that the command wrote into other directories are not listed.",
    response: ListReply,
    handle: async () => ({
      data: await backups.list(),
      directory: backups.dir,
      restore: "prism restore <file>",
    }),
  });
  server.route({
    ...shared,
    method: "POST",
    path: PATH,
    id: "createBackup",
    summary: "Make and check a backup, as a job",
    details:
      "The job has its progress and, at its end, the name of the archive. A backup that waits or runs is returned " +
      "instead of another one. Archives made here contain no keys: keep the encryption key elsewhere.",
    status: 202,
    response: JobReply,
    errors: ["OVERLOADED"],
    handle: (exchange) => backups.start(holderOf(exchange).userId),
  });
  serveArchive(server, backups);
}

function serveArchive(server: FeatureServer, backups: Backups): void {
  server.route({
    ...shared,
    method: "POST",
    path: `${PATH}/:name/verify`,
    id: "verifyBackup",
    summary: "Check an archive as a restore would, as a job",
    params: Name,
    status: 202,
    response: JobReply,
    errors: [...named404, "OVERLOADED"],
    handle: (exchange, { params }) => backups.startCheck(params.name, holderOf(exchange).userId),
  });
  server.route({
    ...shared,
    access: { ...access, queryToken: true },
    method: "GET",
    path: `${PATH}/:name/download`,
    id: "downloadBackup",
    summary: "Download an archive; a browser uses a ticket of `POST /api/v1/realtime/ticket`",
    details: "It contains all data except the keys: protect it like the database. A download is recorded.",
    params: Name,
    response: { contentType: "application/x-tar", description: "The archive" },
    errors: named404,
    async handle(exchange, { params: { name } }) {
      const { bytes, modifiedAt, read } = await backups.open(name);
      return fileReply(exchange, {
        size: bytes,
        etag: `"${bytes}-${Math.floor(modifiedAt)}"`,
        headers: { "Content-Type": "application/x-tar", "Content-Disposition": `attachment; filename="${name}"` },
        fixedHeaders: API_HEADERS,
        open: ({ first, last }) => Promise.resolve(read(first, last)),
      });
    },
  });
  server.route({
    ...shared,
    method: "DELETE",
    path: `${PATH}/:name`,
    id: "deleteBackup",
    summary: "Delete an archive",
    params: Name,
    status: 204,
    errors: named404,
    async handle(_exchange, { params }) {
      await backups.remove(params.name);
    },
  });
}
