package fornax.models.learn;

import fornax.tensor.Scope;
import fornax.tensor.Tensor;
import java.awt.Color;
import java.io.IOException;
import java.util.Comparator;
import java.util.List;
import java.util.Set;
import java.util.stream.IntStream;

/// Players as vectors: whoever is near plays alike, and the mean of two is a player in between.
final class Cricket implements Rung {
  /// Batting average and strike rate in one-day internationals.
  private record Player(String name, double average, double strikeRate) {}

  private static final List<Player> PLAYERS =
      List.of(
          new Player("Kohli", 58.7, 93.6),
          new Player("Rahul", 50.8, 88.1),
          new Player("Rohit Sharma", 49.1, 92.0),
          new Player("Gill", 61.4, 103.5),
          new Player("Iyer", 49.6, 101.0),
          new Player("Warner", 45.3, 97.3),
          new Player("Smith", 43.5, 87.2),
          new Player("Head", 42.0, 102.6),
          new Player("Marsh", 36.1, 96.2),
          new Player("Labuschagne", 37.9, 83.1),
          new Player("Jadeja", 32.4, 85.1),
          new Player("Yadav", 25.8, 105.0),
          new Player("Inglis", 18.9, 94.1),
          new Player("Maxwell", 35.4, 126.9),
          new Player("Hazlewood", 17.3, 91.0),
          new Player("Cummins", 13.7, 75.1),
          new Player("Shami", 7.8, 83.0),
          new Player("Zampa", 9.5, 65.7),
          new Player("Kuldeep", 10.5, 56.8),
          new Player("Bumrah", 7.6, 57.2),
          new Player("Siraj", 7.7, 46.0),
          new Player("Starc", 12.4, 79.4));

  private static final Set<String> BELOW = Set.of("Bumrah", "Hazlewood", "Labuschagne", "Rahul");
  private static final int SHOWN = 4;

  @Override
  public String name() {
    return "cricket";
  }

  @Override
  public String title() {
    return "vectors: 22 cricketers, who is near whom, and the mix of two";
  }

  /// A player's place among the others, and how far away.
  private record Neighbour(int index, double distance) {}

  @Override
  public void run(Lesson lesson) throws IOException {
    try (var _ = Scope.open()) {
      float[] values = new float[2 * PLAYERS.size()];
      for (int i = 0; i < PLAYERS.size(); i++) {
        values[2 * i] = (float) PLAYERS.get(i).average();
        values[2 * i + 1] = (float) PLAYERS.get(i).strikeRate();
      }
      Tensor players = Tensor.of(values, PLAYERS.size(), 2); // [22, 2]
      int kohli = index("Kohli");
      List<Neighbour> near = nearest(players, players.select(0, kohli), List.of(kohli));
      say(lesson, "nearest to Kohli", "kohli", near);
      int maxwell = index("Maxwell");
      int rahul = index("Rahul");
      Tensor mix = players.select(0, maxwell).add(players.select(0, rahul)).div(2); // [2]
      List<Neighbour> between = nearest(players, mix, List.of(maxwell, rahul));
      say(lesson, "nearest to the mean of Maxwell and Rahul", "mix", between);
      float[] mean = mix.toFloatArray();
      lesson.figure("mixAverage", mean[0]);
      lesson.figure("mixStrikeRate", mean[1]);
      lesson.picture("cricket", picture(mean));
    }
  }

  private static int index(String name) {
    return PLAYERS.stream().map(Player::name).toList().indexOf(name);
  }

  /// The players next to `point [2]` by Euclidean distance, the nearest first.
  private static List<Neighbour> nearest(Tensor players, Tensor point, List<Integer> without) {
    double[] distances = players.sub(point).square().sum(1).sqrt().toDoubleArray(); // [22]
    return IntStream.range(0, PLAYERS.size())
        .boxed()
        .filter(i -> !without.contains(i))
        .map(i -> new Neighbour(i, distances[i]))
        .sorted(Comparator.comparingDouble(Neighbour::distance))
        .limit(SHOWN)
        .toList();
  }

  private static void say(Lesson lesson, String title, String key, List<Neighbour> near) {
    lesson.say("%s:", title);
    near.forEach(n -> lesson.say("  %-14s %.2f", PLAYERS.get(n.index()).name(), n.distance()));
    lesson.list(key + "Nearest", near.stream().map(n -> PLAYERS.get(n.index()).name()).toList());
    for (int i = 0; i < near.size(); i++) {
      lesson.figure(key + "Distance" + (i + 1), near.get(i).distance());
    }
  }

  private static Picture picture(float[] mix) {
    double[] x = PLAYERS.stream().mapToDouble(Player::average).toArray();
    double[] y = PLAYERS.stream().mapToDouble(Player::strikeRate).toArray();
    String[] names = PLAYERS.stream().map(Player::name).toArray(String[]::new);
    double[] at = new double[names.length]; // above the dots, or below where others are in the way
    for (int i = 0; i < at.length; i++) {
      at[i] = y[i] + (BELOW.contains(names[i]) ? -2.2 : 2.2);
    }
    return new Plot("Who plays alike", "batting average (runs)", "strike rate (runs per 100 balls)")
        .dots("players", x, y, Plot.BLUE)
        .dots("Maxwell and Rahul, mixed", new double[] {mix[0]}, new double[] {mix[1]}, Plot.RED)
        .labels("names", x, at, names, Color.DARK_GRAY)
        .xRange(0, 66)
        .tall();
  }
}
