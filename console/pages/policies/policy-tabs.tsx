import { href } from "../../app/base.ts";
import { Tabs } from "../../ui/index.ts";

interface TabsProps {
  readonly value: "policies" | "routes";
  readonly project: string;
}

export function PolicyTabs({ value, project }: TabsProps) {
  const query = project === "default" ? "" : `?project=${encodeURIComponent(project)}`;
  return (
    <Tabs
      label="Policies and routes"
      value={value}
      tabs={[
        { value: "policies", label: "Policies", href: href(`/policies${query}`) },
        { value: "routes", label: "Routes", href: href(`/policies/routes${query}`) },
      ]}
    />
  );
}
