"""Line plots as SVG that can be read on light and on dark pages."""

import math
from xml.sax.saxutils import escape

from .report import Plot

WIDTH, HEIGHT = 720, 400
LEFT, RIGHT, TOP, BOTTOM = 80, 20, 40, 64
# Told apart on white and on black, and by people who confuse red and green.
COLOURS = ["#2f81f7", "#d9822b", "#2da771", "#b667d4", "#8a8f98", "#d4526e"]
INK = "#808890"


class _Axis:
    def __init__(self, values: list[float], start: float, end: float, log: bool):
        self._log = log
        self._start, self._end = start, end
        low, high = min(values), max(values)
        if log:
            self._low, self._high = 10 ** math.floor(math.log10(low)), 10 ** math.ceil(math.log10(high))
            if self._low == self._high:
                self._high *= 10
            decades = round(math.log10(self._high / self._low))
            self.ticks = [self._low * 10**step for step in range(0, decades + 1, max(1, decades // 8))]
        else:
            self._low = 0.0
            step = 10 ** math.floor(math.log10(high)) if high > 0 else 1.0
            for divisor in (1, 2, 5, 10):
                if high / (step / divisor) >= 4:
                    step /= divisor
                    break
            self._high = math.ceil(high / step) * step if high > 0 else 1.0
            self.ticks = [step * number for number in range(round(self._high / step) + 1)]

    def at(self, value: float) -> float:
        if self._log:
            share = math.log(value / self._low) / math.log(self._high / self._low)
        else:
            share = (value - self._low) / (self._high - self._low)
        return self._start + share * (self._end - self._start)


def _number(value: float) -> str:
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= limit:
            return f"{value / limit:g}{unit}"
    return f"{value:g}"


def _text(x: float, y: float, text: str, more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" {more}>{escape(text)}</text>'


def draw(plot: Plot) -> str:
    """Points that a logarithmic axis cannot show are left out."""
    series = {name: [(x, y) for x, y in points if (x > 0 or not plot.log_x) and (y > 0 or not plot.log_y)]
              for name, points in plot.series.items()}
    points = [point for each in series.values() for point in each]
    if not points:
        raise ValueError(f"nothing to draw: {plot.title}")
    x_axis = _Axis([x for x, _ in points], LEFT, WIDTH - RIGHT, plot.log_x)
    y_axis = _Axis([y for _, y in points], HEIGHT - BOTTOM, TOP, plot.log_y)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12" fill="{INK}">',
           _text(LEFT, 18, plot.title, 'font-size="14" font-weight="bold"')]
    for tick in x_axis.ticks:
        x = x_axis.at(tick)
        out += [f'<line x1="{x:.1f}" y1="{TOP}" x2="{x:.1f}" y2="{HEIGHT - BOTTOM}" stroke="{INK}" stroke-opacity="0.25"/>',
                _text(x, HEIGHT - BOTTOM + 16, _number(tick), 'text-anchor="middle"')]
    for tick in y_axis.ticks:
        y = y_axis.at(tick)
        out += [f'<line x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}" stroke="{INK}" stroke-opacity="0.25"/>',
                _text(LEFT - 6, y + 4, _number(tick), 'text-anchor="end"')]
    out += [_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 30, plot.x_label, 'text-anchor="middle"'),
            _text(0, 0, plot.y_label, f'text-anchor="middle" transform="translate(18 {(TOP + HEIGHT - BOTTOM) / 2:.0f}) rotate(-90)"')]
    legend = LEFT
    for colour, (name, each) in zip(COLOURS * 3, series.items()):
        path = " ".join(f"{x_axis.at(x):.1f},{y_axis.at(y):.1f}" for x, y in each)
        out.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        out += [f'<circle cx="{x_axis.at(x):.1f}" cy="{y_axis.at(y):.1f}" r="3" fill="{colour}"/>' for x, y in each]
        out += [f'<rect x="{legend}" y="{HEIGHT - 20}" width="12" height="12" rx="2" fill="{colour}"/>', _text(legend + 17, HEIGHT - 10, name)]
        legend += 34 + 7 * len(name)
    return "\n".join(out) + "\n</svg>\n"
