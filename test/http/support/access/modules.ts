import { may } from "./refusals.ts";
import { at, type Row, type Table } from "./row.ts";

/** An admitted caller finds no such module. */
const onNone = (verb: string): Row => ({
  refusal: may("modules:manage"),
  request: at(`/api/v1/modules/nobody/${verb}`),
  served: [404, "MODULE_NOT_FOUND"],
});

/** Contract 4.12. */
export const MODULES: Table = {
  "GET /api/v1/modules": { refusal: may("system:status"), request: at("/api/v1/modules") },
  "POST /api/v1/modules/:name/enable": onNone("enable"),
  "POST /api/v1/modules/:name/disable": onNone("disable"),
  "POST /api/v1/modules/:name/reload": onNone("reload"),
};
