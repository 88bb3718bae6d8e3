export {
  Button,
  type ButtonProps,
  type ButtonVariant,
  IconButton,
  type IconButtonProps,
  useAction,
} from "./button.tsx";
export { ChartCard, type ChartCardProps } from "./chart.tsx";
export type { ChartMark, ChartSeries } from "./chart-draw.ts";
export { Checkbox, RadioGroup, Segmented, Switch } from "./choices.tsx";
export {
  displayZone,
  formatInstant,
  formatRelative,
  fromWallClock,
  type Instant,
  now,
  type TimeMode,
  toWallClock,
} from "./clock.ts";
export { Code, CodeBlock, type CodeProps } from "./code.tsx";
export { Combobox, type ComboboxProps, MultiCombobox, type MultiComboboxProps } from "./combobox.tsx";
export { type AskOptions, ask, type ConfirmOptions, confirm } from "./confirm.tsx";
export { Dialog, type DialogProps, Drawer } from "./dialog.tsx";
export { copyText, cx, isTyping } from "./dom.ts";
export { type ErrorInfo, errorInfo } from "./errors.ts";
export { Field, type FieldProps, Form, type FormProps } from "./field.tsx";
export { FileDrop, type FileDropProps } from "./file-drop.tsx";
export { formatBytes, formatCompact, formatDuration, formatNumber, formatPercent, plural } from "./format.ts";
export { UiHost } from "./host.tsx";
export { Icon, type IconProps } from "./icon.tsx";
export {
  DateTimeInput,
  type DateTimeInputProps,
  Input,
  type InputProps,
  SearchInput,
  type SearchInputProps,
  Select,
  type SelectProps,
  Textarea,
  type TextareaProps,
} from "./inputs.tsx";
export { Menu, type MenuEntry, type MenuItem, type MenuProps } from "./menu.tsx";
export {
  Card,
  type CardProps,
  DescriptionList,
  Page,
  type PageProps,
  PageTools,
  Stepper,
  Tabs,
  type TabsProps,
  Toolbar,
} from "./page.tsx";
export { Secret } from "./secret.tsx";
export { Sparkline, StatCard, type StatCardProps } from "./stat.tsx";
export {
  Attention,
  Avatar,
  Badge,
  Banner,
  EmptyState,
  ErrorState,
  Loaded,
  Meter,
  Progress,
  type QueryState,
  Skeleton,
  StatusDot,
} from "./status.tsx";
export { DataTable, Pager } from "./table.tsx";
export type { Column, DataTableProps, Selection } from "./table-types.ts";
export { CodeInline, CopyButton, KeyHint, Link, UserText } from "./text.tsx";
export { isDark, setTheme, type Theme, theme } from "./theme.ts";
export { Bytes, Duration, Num, Percent, Time, type TimeProps } from "./time.tsx";
export {
  Answer,
  Condition,
  type ConditionProps,
  highlightCondition,
  Timeline,
  type TimelineItem,
} from "./timeline.tsx";
export { Tooltip } from "./tips.tsx";
export { type ToastOptions, toast } from "./toast-store.ts";
export type { AccentTone, Action, IconNode, Option, Tone } from "./types.ts";
