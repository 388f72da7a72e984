"""Pictures of points, by gnuplot: as SVG on white, so that they can be read on dark pages too."""
import shutil
import subprocess

from figures import percentile

SIZE = (960, 400)
COLOURS = ("#1668b8", "#c8500a", "#2a8a3e", "#8a3ea8", "#666666")
HEAD = """set terminal svg size {width},{height} font "sans-serif,12" background "white"
set output "{path}"
set multiplot layout 1,{plots} title {title} noenhanced
set grid
set key left top noenhanced
set tics nomirror
set border 3
"""


class Failed(Exception):
    """gnuplot is missing or finds fault."""


def quoted(text):
    return "'" + str(text).replace("'", "''") + "'"


def block(name, rows):
    """Data under a name; gaps where there is no value."""
    lines = [" ".join("NaN" if value is None else f"{value:.9g}" for value in row) for row in rows]
    return f"${name} << EOD\n" + "\n".join(lines) + "\nEOD\n"


def draw(path, title, plots, data):
    """plots: pieces of gnuplot, each of which draws one."""
    if not shutil.which("gnuplot"):
        raise Failed("gnuplot is not installed (Debian: apt-get install gnuplot-nox)")
    head = HEAD.format(width=SIZE[0], height=SIZE[1], path=str(path).replace('"', ""), plots=len(plots), title=quoted(title))
    done = subprocess.run(["gnuplot"], input="".join(data) + head + "".join(plots) + "unset multiplot\n", text=True,
                          capture_output=True, check=False)
    if done.returncode:
        raise Failed(f"gnuplot: {done.stderr}")


def milliseconds(histogram, percent):
    value = percentile(histogram, percent)
    return None if value is None else value * 1e3


def style(number):
    return f"lw 2 lc rgb '{COLOURS[number % len(COLOURS)]}'"


def plot(lines, x, y, *settings):
    labels = f"set xlabel {quoted(x)}\nset ylabel {quoted(y)}\n"
    return "".join(f"{setting}\n" for setting in settings) + labels + "plot " + ", ".join(lines) + "\n"


def over_load(path, title, series, load_name, is_closed):
    """Throughput, and latency, over load. series: [(name, points)]."""
    data, rates, latencies = [], [], []
    for number, (name, points) in enumerate(series):
        data.append(block(f"s{number}", [
            (p.load, p.tokens_per_s, milliseconds(p.first, 50), milliseconds(p.first, 99)) for p in points]))
        rates.append(f"$s{number} using 1:2 with linespoints pt 7 ps 0.6 {style(number)} title {quoted(name)}")
        for column, percent, dash in ((3, 50, 1), (4, 99, 2)):
            if any(percentile(p.first, percent) for p in points):
                latencies.append(f"$s{number} using 1:{column} with linespoints pt 7 ps 0.6 dt {dash} {style(number)} "
                                 f"title {quoted(f'{name}, p{percent}')}")
    plots = [plot(rates, load_name, "tokens/s", "set logscale x 2" if is_closed else "unset logscale x", "set yrange [0:*]")]
    if latencies:  # too few answers for any
        plots.append(plot(latencies, load_name, "first token, ms", "set logscale y", "set yrange [*:*]"))
    draw(path, title, plots, data)


SHARES = (1, 5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 98, 99, 99.5, 99.8, 99.9)


def distribution(path, title, series):
    """Percentiles of first token and gaps; the axis has as much room for each nine. series: [(name, point)]."""
    data, plots = [], []
    tics = ", ".join(f"'{share:g}' {100 / (100 - share):.9g}" for share in (50, 90, 99, 99.9))
    settings = ("set logscale xy", f"set xtics ({tics})", "set xrange [1:1000]", "set yrange [*:*]")
    for part, label in (("first", "first token, ms"), ("gaps", "between tokens, ms")):
        lines = []
        for number, (name, point) in enumerate(series):
            found = [(100 / (100 - share), percentile(getattr(point, part), share)) for share in SHARES]
            # A gap of 0, of tokens that one read has brought, has no place on a logarithmic axis.
            rows = [(x, value * 1e3) for x, value in found if value]
            if rows:
                data.append(block(f"{part}{number}", rows))
                lines.append(f"${part}{number} using 1:2 with lines {style(number)} title {quoted(name)}")
        if lines:
            plots.append(plot(lines, "percentile", label, *settings))
    draw(path, title, plots, data)
