import { Download } from "lucide";
import { useState } from "preact/hooks";
import type { AuditRow, AuditVerification } from "../../../src/client/api-types.gen.ts";
import { api } from "../../app/api.ts";
import { dateFilter, ownFilter, searchFilter, useListOf } from "../../app/list-of.tsx";
import { ListPage } from "../../app/list-page.tsx";
import { saveFile } from "../../app/save-file.ts";
import { can } from "../../app/session.ts";
import { Button, openDialog } from "../../ui/index.ts";
import { beginning, isWithNotifications, NotificationsSwitch, PersonFilter } from "./audit-filters.tsx";
import { COLUMNS, RowDialog } from "./audit-rows.tsx";
import { VerifyResult } from "./verify-result.tsx";

const FILTERS = {
  action: searchFilter("Action", "Action, such as rule"),
  userId: ownFilter("person", (bound) => (can("users:read") ? <PersonFilter {...bound} /> : null)),
  notifications: ownFilter("kind", (bound) => <NotificationsSwitch {...bound} />),
  from: dateFilter("From"),
  to: dateFilter("To"),
  resource: ownFilter(
    "resource",
    ({ value, onChange }) => (value === "" ? null : <Button onClick={() => onChange("")}>All resources</Button>),
    "resourceId",
  ),
};
const NONE = {
  title: "No entry matches",
  text: "Change the filters. An action is found by its beginning, such as rule or auth.login.",
};

type Values = Readonly<Record<keyof typeof FILTERS, string>>;

function queryOf({ action, userId, resource, from, to, notifications }: Values) {
  const isAll = isWithNotifications({ action, resource, notifications });
  const filter = { action: beginning(action), userId, resourceId: resource, from, to };
  return { ...filter, notifications: isAll ? undefined : false };
}

/** Who did what, in a chain of hashes. */
export default function Audit() {
  const [verified, setVerified] = useState<AuditVerification>();
  const list = useListOf<AuditRow, typeof FILTERS>("/audit", FILTERS, queryOf);
  const verify = async () => setVerified(await api.get<AuditVerification>("/audit/verify"));
  const download = async () => saveFile(await api.blob("/audit/export", queryOf(list.values), "text/csv"), "audit.csv");
  const buttons = (
    <>
      {can("audit:export") && (
        <Button icon={Download} onClick={download}>
          Export CSV
        </Button>
      )}
      <Button variant="primary" onClick={verify}>
        Verify
      </Button>
    </>
  );
  return (
    <ListPage<AuditRow>
      of={list}
      title="Audit"
      label="Audit trail"
      subtitle="Every change and sign-in, in a chain of hashes that reveals later changes."
      noun="entry"
      columns={COLUMNS}
      actions={buttons}
      onOpen={(row) => openDialog(<RowDialog row={row} onOnly={(resource) => list.set({ resource })} />)}
      empty={NONE}
      unmatched={NONE}
    >
      {verified && <VerifyResult result={verified} onDismiss={() => setVerified(undefined)} />}
    </ListPage>
  );
}
