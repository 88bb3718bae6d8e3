import { href } from "../../app/base.ts";
import { Tabs } from "../../ui/index.ts";

export function JobTabs({ value }: { readonly value: "jobs" | "queues" }) {
  const tabs = [
    { value: "jobs", label: "Jobs", href: href("/jobs") },
    { value: "queues", label: "Queues", href: href("/jobs/queues") },
  ];
  return <Tabs label="Jobs" value={value} tabs={tabs} />;
}
