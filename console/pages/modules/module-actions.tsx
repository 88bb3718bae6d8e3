import type { Module } from "../../../src/client/api-types.gen.ts";
import { api } from "../../app/api.ts";
import { invalidate } from "../../app/query.ts";
import { Button, confirm, toast } from "../../ui/index.ts";

async function change(module: Module, action: "enable" | "disable" | "reload"): Promise<void> {
  const text = "Its routes answer 503 and its jobs wait until it is enabled again.";
  const title = `Disable ${module.name}?`;
  if (action === "disable" && !(await confirm({ title, text, action: "Disable", danger: true }))) return;
  await api.post(`/modules/${encodeURIComponent(module.name)}/${action}`);
  toast.ok(`${module.name} is ${action === "reload" ? "loaded again" : `${action}d`}.`);
  invalidate("/modules");
}

export function ModuleActions({ module }: { readonly module: Module }) {
  if (!module.enabled) {
    return (
      <Button small onClick={() => change(module, "enable")}>
        Enable
      </Button>
    );
  }
  return (
    <>
      <Button small onClick={() => change(module, "reload")}>
        Reload
      </Button>
      <Button small onClick={() => change(module, "disable")}>
        Disable
      </Button>
    </>
  );
}
