package fornax.models.learn;

import java.awt.BasicStroke;
import java.awt.Color;
import java.awt.Font;
import java.awt.Graphics2D;
import java.util.Arrays;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.XYChartBuilder;
import org.knowm.xchart.XYSeries;
import org.knowm.xchart.style.Styler;
import org.knowm.xchart.style.markers.Marker;
import org.knowm.xchart.style.markers.SeriesMarkers;

/// Lines and dots over two axes.
final class Plot implements Picture {
  static final Color BLUE = new Color(0x1f77b4);
  static final Color ORANGE = new Color(0xff7f0e);
  static final Color GREEN = new Color(0x2ca02c);
  static final Color RED = new Color(0xd62728);
  static final Color GREY = new Color(0x7f7f7f);
  static final Color PALE_BLUE = new Color(0xd6e6f4);
  static final Color PALE_ORANGE = new Color(0xfde3c8);

  private static final int WIDTH = 640;
  private static final int HEIGHT = 420;
  private static final int TALL = 680;
  private static final int TICK_SPACING = 80;
  private static final int FIELD = 60; // points along each axis of a background

  private final XYChart chart;
  private int height = HEIGHT;

  Plot(String title, String xTitle, String yTitle) {
    chart =
        new XYChartBuilder()
            .width(WIDTH)
            .height(HEIGHT)
            .title(title)
            .xAxisTitle(xTitle)
            .yAxisTitle(yTitle)
            .build();
    var style = chart.getStyler();
    style
        .setChartBackgroundColor(Color.WHITE)
        .setPlotBorderVisible(false)
        .setChartTitleBoxVisible(false)
        .setChartTitleFont(new Font(Font.SANS_SERIF, Font.BOLD, 15))
        .setLegendBorderColor(Color.WHITE)
        .setLegendFont(new Font(Font.SANS_SERIF, Font.PLAIN, 12))
        .setLegendPosition(Styler.LegendPosition.OutsideS)
        .setLegendLayout(Styler.LegendLayout.Horizontal);
    style.setPlotGridLinesColor(new Color(0xe6e6e6));
    style.setAxisTitleFont(new Font(Font.SANS_SERIF, Font.PLAIN, 13));
    style.setAxisTickLabelsFont(new Font(Font.SANS_SERIF, Font.PLAIN, 12));
    style.setXAxisTickMarkSpacingHint(TICK_SPACING);
    style.setMarkerSize(6);
  }

  private XYSeries add(String name, double[] xs, double[] ys, Color color) {
    XYSeries series = chart.addSeries(name, xs, ys);
    var _ = series.setMarkerColor(color);
    var _ = series.setLineColor(color);
    return series;
  }

  Plot line(String name, double[] xs, double[] ys, Color color) {
    var _ = add(name, xs, ys, color).setMarker(SeriesMarkers.NONE).setLineWidth(2f);
    return this;
  }

  Plot dashes(String name, double[] xs, double[] ys, Color color) {
    XYSeries series = add(name, xs, ys, color);
    series.setMarker(SeriesMarkers.NONE);
    series.setLineStyle(
        new BasicStroke(2, BasicStroke.CAP_BUTT, BasicStroke.JOIN_BEVEL, 0, new float[] {6, 5}, 0));
    return this;
  }

  Plot dots(String name, double[] xs, double[] ys, Color color) {
    return dots(name, xs, ys, color, SeriesMarkers.CIRCLE);
  }

  private Plot dots(String name, double[] xs, double[] ys, Color color, Marker marker) {
    if (xs.length > 0) {
      XYSeries series = add(name, xs, ys, color);
      series.setXYSeriesRenderStyle(XYSeries.XYSeriesRenderStyle.Scatter);
      series.setMarker(marker);
    }
    return this;
  }

  /// Points of two kinds, circles where `second` is false and diamonds where it is true.
  Plot classes(String first, String other, double[] xs, double[] ys, boolean[] second) {
    return dots(first, choose(xs, second, false), choose(ys, second, false), BLUE)
        .dots(
            other, choose(xs, second, true), choose(ys, second, true), RED, SeriesMarkers.DIAMOND);
  }

  private static double[] choose(double[] values, boolean[] marks, boolean wanted) {
    double[] chosen = new double[values.length];
    int count = 0;
    for (int i = 0; i < values.length; i++) {
      if (marks[i] == wanted) {
        chosen[count++] = values[i];
      }
    }
    return Arrays.copyOf(chosen, count);
  }

  /// The points of a grid over the plane, as rows of x and y.
  static float[] field(double left, double right, double bottom, double top) {
    float[] points = new float[FIELD * FIELD * 2];
    for (int i = 0; i < FIELD * FIELD; i++) {
      points[2 * i] = (float) (left + (right - left) * (i % FIELD + 0.5) / FIELD);
      points[2 * i + 1] = (float) (bottom + (top - bottom) * (i / FIELD + 0.5) / FIELD);
    }
    return points;
  }

  /// Colours a [#field] by what a classifier says of its points. Call it first.
  Plot background(float[] field, boolean[] second) {
    double[] xs = new double[second.length];
    double[] ys = new double[second.length];
    for (int i = 0; i < second.length; i++) {
      xs[i] = field[2 * i];
      ys[i] = field[2 * i + 1];
    }
    for (boolean side : new boolean[] {false, true}) {
      double[] chosen = choose(xs, second, side);
      if (chosen.length > 0) {
        var _ =
            dots(
                side ? "(region of the second)" : "(region of the first)",
                chosen,
                choose(ys, second, side),
                side ? PALE_ORANGE : PALE_BLUE,
                SeriesMarkers.SQUARE);
      }
    }
    chart.getSeriesMap().values().forEach(series -> series.setShowInLegend(false));
    chart.getStyler().setMarkerSize(10);
    double half = (xs[1] - xs[0]) / 2;
    chart.getStyler().setXAxisMin(xs[0] - half).setXAxisMax(xs[xs.length - 1] + half);
    double halfUp = (ys[FIELD] - ys[0]) / 2;
    chart.getStyler().setYAxisMin(ys[0] - halfUp).setYAxisMax(ys[ys.length - 1] + halfUp);
    return this;
  }

  /// Writes `texts` at points instead of dots.
  Plot labels(String name, double[] xs, double[] ys, String[] texts, Color color) {
    XYSeries series = add(name, xs, ys, color);
    series.setXYSeriesRenderStyle(XYSeries.XYSeriesRenderStyle.Scatter);
    series.setMarker(new TextMarker(texts));
    series.setShowInLegend(false);
    return this;
  }

  private static final class TextMarker extends Marker {
    private static final int FONT_SIZE = 12;
    private final String[] texts;
    private int next;

    TextMarker(String[] texts) {
      this.texts = texts.clone();
    }

    @Override
    public void paint(Graphics2D paper, double x, double y, int size) {
      String text = texts[next++ % texts.length];
      paper.setFont(new Font(Font.SANS_SERIF, Font.PLAIN, FONT_SIZE));
      int width = paper.getFontMetrics().stringWidth(text);
      paper.drawString(text, (float) (x - width / 2.0), (float) (y + FONT_SIZE / 3.0));
    }
  }

  Plot logarithmic(boolean x, boolean y) {
    chart.getStyler().setXAxisLogarithmic(x).setYAxisLogarithmic(y);
    return this;
  }

  Plot yRange(double low, double high) {
    chart.getStyler().setYAxisMin(low).setYAxisMax(high);
    return this;
  }

  Plot xRange(double low, double high) {
    chart.getStyler().setXAxisMin(low).setXAxisMax(high);
    return this;
  }

  /// Higher than wide.
  Plot tall() {
    height = TALL;
    return this;
  }

  Plot withoutLegend() {
    chart.getStyler().setLegendVisible(false);
    return this;
  }

  @Override
  public int width() {
    return WIDTH;
  }

  @Override
  public int height() {
    return height;
  }

  @Override
  public void draw(Graphics2D paper) {
    chart.paint(paper, WIDTH, height);
  }
}
