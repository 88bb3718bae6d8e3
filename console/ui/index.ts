export { Button, type ButtonProps, IconButton, NewButton } from "./button.tsx";
export { ChartCard } from "./chart.tsx";
export { Checkbox, RadioGroup, Segmented, Switch } from "./choices.tsx";
export {
  displayZone,
  formatInstant,
  formatLeft,
  formatRange,
  formatRelative,
  fromWallClock,
  now,
  type TimeRange,
  toWallClock,
} from "./clock.ts";
export { Code, CodeBlock } from "./code.tsx";
export { Combobox, MultiCombobox } from "./combobox.tsx";
export { ask, confirm } from "./confirm.tsx";
export { type DayOfStrip, DayStrip } from "./day-strip.tsx";
export { closeDialogs, Dialog, Drawer, hasDialog, openDialog, useClose } from "./dialog.tsx";
export { copyText, isTyping } from "./dom.ts";
export { Field, Form } from "./field.tsx";
export { FileDrop } from "./file-drop.tsx";
export { formatBytes, formatDuration, formatNumber, formatPercent, plural } from "./format.ts";
export { Histogram, type HistogramSeries } from "./histogram.tsx";
export { UiHost } from "./host.tsx";
export { Icon } from "./icon.tsx";
export { Input, SearchInput, Select, Textarea } from "./inputs.tsx";
export { useLatest } from "./latest.ts";
export { Menu, type MenuEntry, type MenuItem } from "./menu.tsx";
export { Card, DescriptionList, Page, Stepper, Tabs, Toolbar } from "./page.tsx";
export { Secret, SecretDialog } from "./secret.tsx";
export { Sparkline, StatCard } from "./stat.tsx";
export {
  Attention,
  Avatar,
  Badge,
  Banner,
  EmptyState,
  type EmptyStateProps,
  ErrorState,
  isPending,
  Late,
  Loaded,
  Meter,
  Progress,
  Skeleton,
  StatusDot,
  useShownWith,
  useTogether,
  Waiting,
} from "./status.tsx";
export { DataTable, Pager } from "./table.tsx";
export { runAction } from "./table-keys.ts";
export type { Column } from "./table-types.ts";
export { CodeInline, CopyButton, KeyHint, Link, UserText } from "./text.tsx";
export { isDark, setTheme, type Theme, theme } from "./theme.ts";
export { Bytes, Duration, Left, Num, Percent, Time } from "./time.tsx";
export { ClockInput, DateInput, DateTimeInput } from "./time-inputs.tsx";
export { Answer, Condition, Timeline, type TimelineItem } from "./timeline.tsx";
export { Tooltip } from "./tips.tsx";
export { toast } from "./toast-store.ts";
export { type AccentTone, choices, type IconNode, type Option, optionsOf, type Tone } from "./types.ts";
export { textWidth, useWidth } from "./width.ts";
