import { may } from "./refusals.ts";
import { at, type Row, type Table } from "./row.ts";

const refusal = may("system:manage");
/** An admitted caller finds no such archive. */
const onNone = (path: string): Row => ({ refusal, request: at(path), served: [404, "NOT_FOUND"] });
const NONE = "/api/v1/backups/prism-20200101T000000Z.tar";

/** Docs: the permission system:manage. */
export const BACKUPS: Table = {
  "GET /api/v1/backups": { refusal, request: at("/api/v1/backups") },
  "POST /api/v1/backups": { refusal, request: at("/api/v1/backups") },
  "POST /api/v1/backups/:name/verify": onNone(`${NONE}/verify`),
  "GET /api/v1/backups/:name/download": onNone(`${NONE}/download`),
  "DELETE /api/v1/backups/:name": onNone(NONE),
};
