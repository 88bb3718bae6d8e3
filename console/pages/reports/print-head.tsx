import { useEffect, useRef } from "preact/hooks";
import { useProjects } from "../../app/projects.ts";
import { formatInstant, UserText } from "../../ui/index.ts";
import type { ReportChoice, ReportSpan } from "./range.ts";

/** On paper alone: what the report is of, and when it was printed. */
export function PrintHead({
  choice: { filters },
  report,
}: {
  readonly choice: ReportChoice;
  readonly report: ReportSpan;
}) {
  const { project } = filters.values;
  const projects = useProjects();
  const name = projects.find(({ slug }) => slug === project)?.name ?? (projects.length === 1 ? projects[0]?.name : "");
  const printedAt = useRef<HTMLSpanElement>(null);
  useEffect(() => {
    // Rendering would come after the print.
    const write = () => {
      if (printedAt.current) printedAt.current.textContent = formatInstant(Date.now());
    };
    write();
    addEventListener("beforeprint", write);
    return () => removeEventListener("beforeprint", write);
  }, []);
  return (
    <div class="print-only">
      <p>
        {name || project ? (
          <>
            Project <UserText>{name || project}</UserText>
          </>
        ) : (
          "All projects"
        )}
        {`, ${formatInstant(report.from, "full", "UTC")} to ${formatInstant(report.to, "full", "UTC")}`}
      </p>
      <p>
        Printed <span ref={printedAt} />
      </p>
    </div>
  );
}
