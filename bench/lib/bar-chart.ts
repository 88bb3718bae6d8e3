export interface Bar {
  readonly name: string;
  readonly value: number;
  /** Drawn in grey. */
  readonly isReference: boolean;
}

const WIDTH = 760;
const NAMES = 300;
const NUMBERS = 80;
const ROW = 26;

const STYLE = `text { font: 13px system-ui, sans-serif; fill: #24292f } .prism { fill: #0969da } .other { fill: #8c959f }
@media (prefers-color-scheme: dark) { text { fill: #e6edf3 } .prism { fill: #4493f8 } .other { fill: #6e7681 } }`;

/** Horizontal bars as SVG, readable on light and dark pages. @param unit of the values, for screen readers */
export function barChart(bars: readonly Bar[], unit: string): string {
  const largest = Math.max(...bars.map(({ value }) => value));
  const rows = bars.map(({ name, value, isReference }, index) => {
    const y = index * ROW;
    const width = Math.max(1, Math.round((value / largest) * (WIDTH - NAMES - NUMBERS)));
    return [
      `<text x="${NAMES - 10}" y="${y + 18}" text-anchor="end">${escaped(name)}</text>`,
      `<rect class="${isReference ? "other" : "prism"}" x="${NAMES}" y="${y + 4}" width="${width}" height="18" rx="2"/>`,
      `<text x="${NAMES + width + 8}" y="${y + 18}">${value.toLocaleString("en")}</text>`,
    ].join("\n");
  });
  const height = bars.length * ROW + 4;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${escaped(unit)}">
<style>${STYLE}</style>
${rows.join("\n")}
</svg>
`;
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");
}
