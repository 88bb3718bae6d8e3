import type { StatusPage as StatusPageView } from "../../../src/client/api-types.gen.ts";
import { Badge, Card, UserText } from "../../ui/index.ts";
import { type Document, STATES } from "./status-types.ts";

/** The draft with the current states. */
export function Preview({ view, draft }: { readonly view: StatusPageView; readonly draft: Document }) {
  return (
    <Card title="Preview" sub="As visitors see it, with the current states">
      <div class="stack">
        <strong>
          <UserText>{draft.title}</UserText>
        </strong>
        {draft.groups.map((group, g) => (
          <div class="stack s2" key={g}>
            {group.name !== "" && (
              <span class="strong">
                <UserText>{group.name}</UserText>
              </span>
            )}
            {group.components.map(({ id, name }, c) => {
              const { text, tone } = STATES[view.states[id ?? ""] ?? "operational"];
              return (
                <div class="spread" key={c}>
                  <UserText>{name}</UserText>
                  <Badge tone={tone}>{text}</Badge>
                </div>
              );
            })}
          </div>
        ))}
        {draft.groups.length === 0 && <span class="muted">No components yet.</span>}
      </div>
    </Card>
  );
}
