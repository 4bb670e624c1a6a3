package fornax.data;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;

class NamesTest {
  @Test
  void us_areThoseOfTheCensus() throws IOException {
    List<String> names = Names.us();
    assertEquals(5163, names.size());
    assertTrue(names.stream().allMatch(name -> name.matches("[a-z]{2,11}")));
    assertTrue(names.containsAll(List.of("mary", "james", "zulma")));
  }

  @Test
  void indian_areSmallLettersToo() throws IOException {
    List<String> names = Names.indian();
    assertTrue(names.size() > 700, names.size() + " names");
    assertTrue(names.stream().allMatch(name -> name.matches("[a-z]+")));
    assertTrue(names.containsAll(List.of("aadrika", "lakshmi")));
  }

  @Test
  void split_holdsATenthOut() throws IOException {
    List<String> names = Names.us();
    Names.Split split = Names.split(names, 1);
    assertEquals(4646, split.training().size());
    assertEquals(517, split.validation().size());
    Set<String> all = new HashSet<>(split.training());
    all.addAll(split.validation());
    assertEquals(new HashSet<>(names), all);
    assertEquals(split, Names.split(names, 1));
    assertNotEquals(split, Names.split(names, 2));
  }
}
