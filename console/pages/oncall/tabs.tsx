import { href } from "../../app/base.ts";
import { Tabs } from "../../ui/index.ts";

export function OnCallTabs({ value }: { readonly value: "now" | "mine" }) {
  return (
    <Tabs
      label="On-call"
      value={value}
      tabs={[
        { value: "now", label: "Schedules", href: href("/oncall") },
        { value: "mine", label: "My shifts", href: href("/oncall/mine") },
      ]}
    />
  );
}
