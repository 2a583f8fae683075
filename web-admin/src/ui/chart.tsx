import {
  Bar,
  BarChart,
  CartesianGrid,
  Legend,
  ResponsiveContainer,
  Tooltip,
  XAxis,
  YAxis,
} from 'recharts';

export type Series = { key: string; name: string; colour: string };

/** Bars over days or buckets, stacked unless they are to be compared. The same numbers stand in a table or in totals beside it. */
export default function Chart(props: {
  label: string;
  rows: Record<string, string | number>[];
  series: Series[];
  unstacked?: boolean;
}) {
  return (
    <div className="chart" role="img" aria-label={props.label}>
      <ResponsiveContainer width="100%" height={240}>
        <BarChart data={props.rows} accessibilityLayer={false}>
          <CartesianGrid strokeDasharray="3 3" vertical={false} opacity={0.35} />
          <XAxis dataKey="day" tickLine={false} />
          <YAxis allowDecimals={false} tickLine={false} width={48} />
          <Tooltip
            contentStyle={{
              background: 'var(--mantine-color-body)',
              border: '1px solid var(--mantine-color-default-border)',
              color: 'var(--mantine-color-text)',
            }}
            cursor={{ opacity: 0.15 }}
          />
          <Legend
            formatter={(name) => <span style={{ color: 'var(--mantine-color-text)' }}>{name}</span>}
          />
          {props.series.map((one) => (
            <Bar
              key={one.key}
              dataKey={one.key}
              name={one.name}
              {...(props.unstacked ? {} : { stackId: 'all' })}
              fill={one.colour}
              maxBarSize={46}
              isAnimationActive={false}
            />
          ))}
        </BarChart>
      </ResponsiveContainer>
    </div>
  );
}
