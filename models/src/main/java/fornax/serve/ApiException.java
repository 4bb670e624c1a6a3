package fornax.serve;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import org.jspecify.annotations.Nullable;

/// A request that is refused, in OpenAI's words for it.
final class ApiException extends Exception {
  private static final long serialVersionUID = 1L;

  private final int status;
  private final @Nullable String parameter;
  private final @Nullable String code;

  ApiException(int status, @Nullable String parameter, @Nullable String code, String message) {
    super(message);
    this.status = status;
    this.parameter = parameter;
    this.code = code;
  }

  static ApiException invalid(String parameter, String message) {
    String name = parameter.length() <= 60 ? parameter : parameter.substring(0, 60) + "...";
    return new ApiException(400, name, null, name + ": " + message);
  }

  int status() {
    return status;
  }

  /// `{"error": {"message": .., "type": .., "param": .., "code": ..}}`.
  ObjectNode json() {
    ObjectNode json = JsonNodeFactory.instance.objectNode();
    json.putObject("error")
        .put("message", getMessage())
        .put("type", type())
        .put("param", parameter)
        .put("code", code);
    return json;
  }

  private String type() {
    return switch (status) {
      case 403 -> "permission_error";
      case 429 -> "rate_limit_error";
      case 500 -> "server_error";
      case 503 -> "overloaded_error";
      default -> "invalid_request_error";
    };
  }
}
