import { sql } from "kysely";
import { type SealedColumn, sealedColumn } from "../store/sealed-column.ts";
import { SEALED_SETTINGS, settingSealContext } from "../store/sealed-settings.ts";
import { FEATURES } from "./feature-list.ts";

/** Everything that is encrypted at rest. */
export const SEALED_COLUMNS: readonly SealedColumn[] = [
  sealedColumn("settings", "value", settingSealContext, {
    id: "key",
    where: sql`key in (${sql.join(SEALED_SETTINGS)})`,
  }),
  ...FEATURES.flatMap((each) => each.sealedColumns ?? []),
];
