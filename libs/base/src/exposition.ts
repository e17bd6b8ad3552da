/** What prom-client prints, in Prometheus' text format 0.0.4: where it has not measured yet, it writes `Nan`, which readers refuse. */
export function strictExposition(printed: string): string {
  return printed.replaceAll(' Nan\n', ' NaN\n')
}
