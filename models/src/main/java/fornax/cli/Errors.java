package fornax.cli;

import com.google.errorprone.annotations.CanIgnoreReturnValue;
import fornax.backend.DeviceException;
import fornax.backend.OutOfDeviceMemoryException;
import fornax.data.UnknownCharacterException;
import fornax.tensor.NonFiniteException;
import fornax.train.NonFiniteLossException;
import java.io.IOException;
import java.io.PrintStream;
import java.io.UncheckedIOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;
import java.nio.file.NoSuchFileException;
import java.util.List;
import java.util.regex.Pattern;
import picocli.CommandLine;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.UnmatchedArgumentException;

/// Tells the user of an error in one line.
final class Errors {
  // How picocli puts it where an option that there is none of stands in a value's place.
  private static final Pattern UNKNOWN_FOR_VALUE =
      Pattern.compile("^Unknown option: '(.*?)'; Expected parameter for option '(.*?)'.*");
  private static final String UNKNOWN_SAID =
      "unknown option $1; if that is a value for $2, write $2=$1";

  private Errors() {}

  /// Prints an error in what was typed.
  @CanIgnoreReturnValue
  static int report(PrintStream err, ParameterException error, boolean verbose) {
    StringBuilder text = new StringBuilder();
    if (error instanceof UnmatchedArgumentException unmatched
        && !unmatched.getUnmatched().isEmpty()) {
      String first = unmatched.getUnmatched().getFirst();
      boolean option = first.startsWith("-");
      text.append(option ? "unknown option " : "unknown argument ").append(first);
      List<String> similar = unmatched.getSuggestions();
      if (!similar.isEmpty()) {
        text.append("; did you mean ").append(similar.getFirst()).append('?');
      }
    } else {
      text.append(UNKNOWN_FOR_VALUE.matcher(message(error)).replaceFirst(UNKNOWN_SAID));
    }
    CommandLine command = error.getCommandLine();
    text.append("; see ").append(command.getCommandSpec().qualifiedName()).append(" --help");
    print(err, text.toString(), error, verbose);
    return ExitCode.BAD_INPUT;
  }

  /// Prints an error in doing it, and returns the exit code that goes with it.
  @CanIgnoreReturnValue
  static int report(PrintStream err, Throwable error, boolean verbose) {
    if (error instanceof UncheckedIOException && error.getCause() instanceof IOException fault) {
      return report(err, fault, verbose);
    }
    boolean users =
        error instanceof UserException
            || error instanceof DeviceException
            || error instanceof UnknownCharacterException
            || error instanceof IOException;
    if (users) {
      print(err, message(error), error, verbose);
      return ExitCode.BAD_INPUT;
    }
    if (error instanceof OutOfMemoryError) {
      print(
          err,
          "out of Java memory; need less data, or a larger heap: FORNAX_JVM_OPTS=-Xmx8g fornax ...",
          error,
          verbose);
      return ExitCode.BAD_INPUT;
    }
    if (error instanceof NonFiniteLossException || error instanceof NonFiniteException) {
      print(err, message(error), error, verbose);
      return ExitCode.FAILED;
    }
    print(err, "internal error: " + error + "; this is a fault of fornax", error, verbose);
    return ExitCode.FAILED;
  }

  private static void print(PrintStream err, String text, Throwable error, boolean verbose) {
    err.println("fornax: " + oneLine(text) + (verbose ? "" : hint(error)));
    if (verbose) {
      error.printStackTrace(err);
    }
  }

  private static String hint(Throwable error) {
    return error instanceof OutOfDeviceMemoryException ? "; --verbose shows who holds what" : "";
  }

  private static String message(Throwable error) {
    String message = String.valueOf(error.getMessage());
    return switch (error) {
      case OutOfDeviceMemoryException _ -> message.lines().findFirst().orElse(message);
      case FileSystemException file when file.getReason() != null -> message;
      case NoSuchFileException file -> "no file " + file.getFile() + "; need one that exists";
      case AccessDeniedException file ->
          file.getFile() + " may not be read or written; need permission; see chmod";
      case FileSystemException file ->
          file.getFile() + " cannot be read or written (" + file.getClass().getSimpleName() + ")";
      default -> message;
    };
  }

  private static String oneLine(String text) {
    return text.strip().replaceAll("\\s*\\R\\s*", " ").replaceAll("\\p{Cntrl}", "?");
  }
}
