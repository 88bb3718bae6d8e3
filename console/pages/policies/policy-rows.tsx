import type { Policy } from "../../../src/client/api-types.gen.ts";
import { Badge, type Column, Time, UserText } from "../../ui/index.ts";
import { type Names, stepText } from "./policy-types.ts";

export function columnsOf(names: Names): readonly Column<Policy>[] {
  return [
    {
      label: "Policy",
      card: "title",
      cell: ({ name, description }) => (
        <>
          <UserText lines={1}>{name}</UserText>
          {description !== "" && (
            <span class="muted small">
              <UserText lines={1}>{description}</UserText>
            </span>
          )}
        </>
      ),
    },
    {
      label: "Steps",
      width: "wide",
      card: "text",
      cell: ({ steps, repeat, opensIncidents }) => (
        <UserText lines={2}>
          {opensIncidents
            ? `${steps.map((step) => stepText(step, names)).join(" → ") || "none"}${repeat > 0 ? `, ${repeat + 1} rounds` : ""}`
            : "opens no incidents"}
        </UserText>
      ),
    },
    {
      label: "Version",
      width: "min",
      card: "aside",
      cell: ({ version }) => <Badge tone="plain">{version === 0 ? "built in" : `v${version}`}</Badge>,
    },
    {
      label: "Changed",
      align: "end",
      priority: 2,
      card: "meta",
      cell: ({ updatedAt }) => <Time at={updatedAt} empty="never" />,
    },
  ];
}
