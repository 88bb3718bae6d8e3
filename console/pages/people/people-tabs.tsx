import { href } from "../../app/base.ts";
import { can } from "../../app/session.ts";
import { Tabs } from "../../ui/index.ts";

/** The tabs of the people pages that the user may open. */
export function PeopleTabs({ value, pending }: { readonly value: string; readonly pending?: number | undefined }) {
  const tabs = [
    { value: "people", label: "People", href: href("/people") },
    ...(can("users:approve")
      ? [{ value: "pending", label: "Pending", href: href("/people/pending"), ...(pending ? { count: pending } : {}) }]
      : []),
    ...(can("roles:read") ? [{ value: "roles", label: "Roles", href: href("/people/roles") }] : []),
  ];
  return <Tabs label="People" value={value} tabs={tabs} />;
}
