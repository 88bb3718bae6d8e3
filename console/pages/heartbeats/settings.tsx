import type { Heartbeat } from "../../../src/client/api-types.gen.ts";
import { Managed } from "../../app/managed.tsx";
import { type FieldOf, Fields, ResourceForm } from "../../forms/fields.tsx";
import { heartbeat as described } from "../../forms/heartbeat.gen.ts";
import { partOf, useResource } from "../../forms/use-resource.ts";
import { Card, Switch } from "../../ui/index.ts";
import { FED_BY, type HeartbeatBody, PlanForm } from "./plan-form.tsx";

const PLAIN: readonly FieldOf<HeartbeatBody>[] = [
  "name",
  { name: "slug", mono: true },
  { name: "description", rows: 2 },
  "tags",
  { name: "severity", placeholder: "critical" },
];

const ALERT: readonly FieldOf<HeartbeatBody>[] = [
  "manualResume",
  { name: "labels", rows: 2 },
  { name: "channels", label: "Policies" },
];

const WORDS = ["startKeywords", "successKeywords", "failureKeywords", "defaultFail"] as const;

export function Settings({ heartbeat }: { readonly heartbeat: Heartbeat }) {
  const form = useResource<HeartbeatBody, Heartbeat>(described, { stored: heartbeat });
  const filters = partOf(form, "filters");
  const { methods } = form.values;
  return (
    <Managed kind="heartbeats" id={heartbeat.id}>
      <ResourceForm of={form} label="Heartbeat">
        <div class="two">
          <Card title="When pings are expected">
            <div class="stack">
              <PlanForm of={form} projectId={heartbeat.projectId} />
              <Fields of={form} show={[FED_BY]} />
            </div>
          </Card>
          <Card title="Heartbeat">
            <div class="stack">
              <Fields of={form} show={PLAIN} />
              <Switch
                label="Only POST counts"
                hint="Links that mail scanners open are ignored."
                checked={methods === "POST"}
                onChange={(isOn) => form.change({ methods: isOn ? "POST" : "" })}
              />
              <Fields of={form} show={ALERT} />
              <Fields of={filters} show={[{ name: "httpBody", label: "Keywords in the body decide" }]} />
              {filters.values.httpBody === true && <Fields of={filters} show={WORDS} />}
            </div>
          </Card>
        </div>
      </ResourceForm>
    </Managed>
  );
}
